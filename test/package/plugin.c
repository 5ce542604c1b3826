/* SPDX-License-Identifier: MIT
 *
 * A host that loads the library as a plugin, lets a thread ask it, and unloads it while that thread
 * still lives: nothing of the library may run at the thread's end.
 *
 * usage: plugin LIBWEIR.SO        exit 0 fine */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <weir.h>

static void *library;
static sem_t asked, unloaded;

/* ISO C knows no way from a data pointer to a function; POSIX promises this one. */
static void find(const char *name, void *function_pointer) {
    void *address = dlsym(library, name);
    memcpy(function_pointer, &address, sizeof address);
}

static void *ask(void *was_allowed) {
    weir *(*open_it)(const char *, const weir_options *, weir_error *);
    bool (*allow)(weir *, const char *, uint64_t, int64_t);
    void (*close_it)(weir *);
    find("weir_open", &open_it);
    find("weir_allow", &allow);
    find("weir_close", &close_it);

    weir *w              = open_it("memory:", NULL, NULL);
    *(bool *)was_allowed = w != NULL && allow(w, "a user of a plugin", 3, WEIR_SECOND);
    close_it(w);
    sem_post(&asked);
    sem_wait(&unloaded);
    return NULL;
}

int main(int count, char **words) {
    bool      was_allowed = false;
    pthread_t thread;
    if (count != 2 || (library = dlopen(words[1], RTLD_NOW)) == NULL) {
        fprintf(stderr, "plugin: %s\n", count == 2 ? dlerror() : "name libweir.so");
        return 2;
    }
    sem_init(&asked, 0, 0);
    sem_init(&unloaded, 0, 0);
    if (pthread_create(&thread, NULL, ask, &was_allowed) != 0) return 2;
    sem_wait(&asked);
    dlclose(library);
    sem_post(&unloaded);
    pthread_join(thread, NULL);
    return was_allowed ? 0 : 1;
}
