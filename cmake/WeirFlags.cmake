# SPDX-License-Identifier: MIT
#
# Compiler flags that hold for every file of ours, in one place: the target `weir_flags`.

set(weir_arch_default "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    set(weir_arch_default x86-64-v2)
endif()
set(WEIR_ARCH "${weir_arch_default}" CACHE STRING "What -march gets; empty: the compiler's default")
set(WEIR_SANITIZE none CACHE STRING "none, address (with undefined), thread, or fuzzer (clang)")
set_property(CACHE WEIR_SANITIZE PROPERTY STRINGS none address thread fuzzer)
option(WEIR_WERROR "Treat warnings as errors" OFF)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

# Assertions of the standard library are not used (see base/contract.h), so NDEBUG would change
# nothing but the tests; and -O3 is what we measure, so it is what people get.
# Measured with weir bench (gcc 12, EPYC) and left out: link-time optimisation (denials 10 ns faster,
# admissions 12 ns slower, and tests and purity check would no longer see the shipped objects);
# no stack protector (within 1.5 ns, and parsers of strangers' bytes deserve one).
set(CMAKE_C_FLAGS_DEBUG "-O0 -g3" CACHE STRING "" FORCE)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O3 -g" CACHE STRING "" FORCE)
set(CMAKE_C_FLAGS_RELEASE "-O3" CACHE STRING "" FORCE)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(weir_flags INTERFACE)
target_include_directories(weir_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE)
target_compile_options(weir_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wpedantic -Wstrict-prototypes -Wmissing-prototypes
    -Wvla -Wundef -fno-common -fno-strict-aliasing -fstack-protector-strong)
if(WEIR_WERROR)
    # Bounds that gcc guesses at in instrumented code stay warnings.
    target_compile_options(weir_flags INTERFACE -Werror -Wno-error=array-bounds)
endif()
if(WEIR_ARCH)
    target_compile_options(weir_flags INTERFACE -march=${WEIR_ARCH})
endif()

if(WEIR_SANITIZE STREQUAL "address")
    set(weir_sanitize_flags -fsanitize=address,undefined)
elseif(WEIR_SANITIZE STREQUAL "thread")
    set(weir_sanitize_flags -fsanitize=thread)
elseif(WEIR_SANITIZE STREQUAL "fuzzer")
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "WEIR_SANITIZE=fuzzer needs clang (CC=clang): libFuzzer is part of it.")
    endif()
    set(weir_sanitize_flags -fsanitize=fuzzer-no-link,address,undefined)
elseif(NOT WEIR_SANITIZE STREQUAL "none")
    message(FATAL_ERROR "WEIR_SANITIZE is '${WEIR_SANITIZE}'; it may be none, address, thread or fuzzer.")
endif()
if(weir_sanitize_flags)
    target_compile_options(weir_flags INTERFACE
        ${weir_sanitize_flags} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(weir_flags INTERFACE ${weir_sanitize_flags})
endif()
