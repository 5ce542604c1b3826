# SPDX-License-Identifier: MIT
#
# How tests are declared. Three functions (and weir_wants_two_processors() at the end), each giving CTest a timeout and labels:
#
#   weir_unit_test(test_window.c)                a C program over check.h
#       [NAME name] [LABELS unit ...] [TIMEOUT seconds] [ROOM room] [SOURCES more.c] [LIBRARIES z]
#   weir_unit_tests()                            the above for each test_*.c of the folder
#       [LABELS ...] [TIMEOUT seconds]
#   weir_script_test(name command args...)       anything else, run from the top of the clone
#       [LABELS ...] [TIMEOUT seconds] [SERIAL]
#
# Every test finds in its environment WEIR_BIN (the binary), WEIR_BUILD_DIR (libweir.so, libweir.a),
# WEIR_SOURCE_DIR, WEIR_SANITIZE (none, address, thread), WEIR_CC, and WEIR_PYTHON (a Python with
# tools/requirements.txt installed), and WEIR_STORE=memory:, so that nothing is written where the
# machine's own weir keeps its file. Timeouts are for the plain build; sanitizers get four times as
# much. SERIAL keeps other tests away while it runs, for tests that measure time.

# Inside names are tested too, so a test links archives of the rooms and not libweir. A test of
# src/limit/window.c links the rooms up to limit in this order and none after, so that a test
# builds while a later room is half written. A test that is named after no file links all.
set(weir_rooms_in_order base limit lease sim os table wire store limiter api server cmd)
foreach(room IN LISTS weir_rooms_in_order)
    if(TARGET weir_${room} AND NOT TARGET weir_${room}_archive)
        add_library(weir_${room}_archive STATIC EXCLUDE_FROM_ALL $<TARGET_OBJECTS:weir_${room}>)
        set_target_properties(weir_${room}_archive PROPERTIES LINKER_LANGUAGE C)
    endif()
endforeach()

function(weir_link_rooms target last_room)
    set(archives)
    foreach(room IN LISTS weir_rooms_in_order)
        if(TARGET weir_${room}_archive)
            list(PREPEND archives weir_${room}_archive)
        endif()
        if(room STREQUAL last_room)
            break()
        endif()
    endforeach()
    target_link_libraries(${target} PRIVATE
        -Wl,--start-group ${archives} -Wl,--end-group weir_flags weir_outside Threads::Threads ZLIB::ZLIB m)
endfunction()

function(weir_unit_test source)
    cmake_parse_arguments(arg "SERIAL" "NAME;TIMEOUT;ROOM" "LABELS;SOURCES;LIBRARIES" ${ARGN})
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "weir_unit_test(${source}): what is '${arg_UNPARSED_ARGUMENTS}'?")
    endif()
    cmake_path(GET source STEM stem)
    if(NOT arg_NAME)
        set(arg_NAME ${stem})
    endif()
    weir_labels(labels "${arg_LABELS}")
    weir_runs_here(runs_here "${labels}")
    if(NOT runs_here)
        return()
    endif()
    if(NOT arg_ROOM)
        string(REGEX REPLACE "^test_" "" noun ${stem})
        file(GLOB subject ${PROJECT_SOURCE_DIR}/src/*/${noun}.[ch] ${PROJECT_SOURCE_DIR}/src/*/*/${noun}.[ch])
        list(TRANSFORM subject REPLACE "^${PROJECT_SOURCE_DIR}/src/([^/]+)/.*" "\\1")
        list(REMOVE_DUPLICATES subject)
        list(LENGTH subject subject_count)
        set(arg_ROOM cmd)
        if(subject_count EQUAL 1)
            set(arg_ROOM ${subject})
        endif()
    endif()

    add_executable(${arg_NAME} ${source} ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/test/support/check.c)
    target_include_directories(${arg_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/test)
    weir_link_rooms(${arg_NAME} ${arg_ROOM})
    target_link_libraries(${arg_NAME} PRIVATE ${arg_LIBRARIES} PkgConfig::CMOCKA)
    weir_add_test(${arg_NAME} "${labels}" "${arg_TIMEOUT}" "${arg_SERIAL}" $<TARGET_FILE:${arg_NAME}>)
endfunction()

function(weir_unit_tests)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/test_*.c)
    foreach(source IN LISTS sources)
        weir_unit_test(${source} ${ARGN})
    endforeach()
endfunction()

function(weir_script_test name)
    cmake_parse_arguments(arg "SERIAL" "TIMEOUT" "LABELS" ${ARGN})
    weir_labels(labels "${arg_LABELS}")
    weir_runs_here(runs_here "${labels}")
    if(runs_here)
        weir_add_test(${name} "${labels}" "${arg_TIMEOUT}" "${arg_SERIAL}" ${arg_UNPARSED_ARGUMENTS})
    endif()
endfunction()

# ---- what the three stand on ----

# Without LABELS a test has its folder's name as label.
function(weir_labels variable labels)
    if(NOT labels)
        cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME labels)
    endif()
    set(${variable} "${labels}" PARENT_SCOPE)
endfunction()

# Which tests a build runs. The plain build runs all. AddressSanitizer runs all but those that look
# at the plain products only; ThreadSanitizer what has threads; the fuzzer's build the fuzzers.
function(weir_runs_here variable labels)
    set(runs ON)
    if(WEIR_SANITIZE STREQUAL "address")
        foreach(label IN ITEMS package go bench tools style)
            if(label IN_LIST labels)
                set(runs OFF)
            endif()
        endforeach()
    elseif(WEIR_SANITIZE STREQUAL "thread" AND NOT "concurrency" IN_LIST labels)
        set(runs OFF)
    elseif(WEIR_SANITIZE STREQUAL "fuzzer" AND NOT "fuzz" IN_LIST labels)
        set(runs OFF)
    endif()
    set(${variable} ${runs} PARENT_SCOPE)
endfunction()

# Tests of a sanitizer's build carry its name, since `make test` runs all builds in one list.
function(weir_add_test name labels timeout serial)
    if(NOT timeout)
        set(timeout 60)
    endif()
    set(prefix "")
    if(WEIR_SANITIZE STREQUAL "fuzzer")
        set(prefix "fuzzer/")
    elseif(NOT WEIR_SANITIZE STREQUAL "none")
        math(EXPR timeout "${timeout} * 4")
        string(SUBSTRING ${WEIR_SANITIZE} 0 1 letter)
        set(prefix "${letter}san/")
    endif()
    add_test(NAME ${prefix}${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    # The longest first, so that none is left alone at the end.
    set_tests_properties(${prefix}${name} PROPERTIES LABELS "${labels}" TIMEOUT ${timeout} COST ${timeout})
    if(serial)
        set_tests_properties(${prefix}${name} PROPERTIES RUN_SERIAL ON)
    endif()
    string(CONCAT environment
        "WEIR_BIN=${PROJECT_BINARY_DIR}/weir;"
        "WEIR_BUILD_DIR=${PROJECT_BINARY_DIR};"
        "WEIR_SOURCE_DIR=${PROJECT_SOURCE_DIR};"
        "WEIR_SANITIZE=${WEIR_SANITIZE};"
        "WEIR_STORE=memory:;"
        "WEIR_CC=${CMAKE_C_COMPILER};"
        "WEIR_PYTHON=${PROJECT_SOURCE_DIR}/.deps/python/bin/python;"
        "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1;"
        "UBSAN_OPTIONS=print_stacktrace=1;"
        "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
    set_tests_properties(${prefix}${name} PROPERTIES ENVIRONMENT "${environment}")
endfunction()

# For tests that keep two processors busy. They begin before all others: later two slots are never free at
# once, and they would come one after the other at the end.
function(weir_wants_two_processors)
    set_tests_properties(${ARGN} PROPERTIES PROCESSORS 2 COST 10000)
endfunction()
