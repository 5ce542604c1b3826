# SPDX-License-Identifier: MIT
#
# How tests are declared. Three functions, each giving CTest a timeout and labels:
#
#   weir_unit_test(test_window.c)                a C program over check.h
#       [NAME name] [LABELS unit ...] [TIMEOUT seconds] [ROOM room] [SOURCES more.c] [LIBRARIES z]
#   weir_unit_tests()                            the above for each test_*.c of the folder
#       [LABELS ...] [TIMEOUT seconds]
#   weir_script_test(name command args...)       anything else; gets the built things by environment
#       [LABELS ...] [TIMEOUT seconds] [SERIAL]

# Inside names are tested too, so a test links archives of the rooms and not libweir. A test of
# src/limit/window.c links the rooms up to limit in this order and none after, so that a test
# builds while a later room is half written. A test that is named after no file links all.
set(weir_rooms_in_order base limit os table limiter wire api server cmd)
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
        -Wl,--start-group ${archives} -Wl,--end-group weir_flags Threads::Threads ZLIB::ZLIB m)
endfunction()

function(weir_unit_test source)
    cmake_parse_arguments(arg "" "NAME;TIMEOUT;ROOM" "LABELS;SOURCES;LIBRARIES" ${ARGN})
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "weir_unit_test(${source}): what is '${arg_UNPARSED_ARGUMENTS}'?")
    endif()
    cmake_path(GET source STEM stem)
    cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME kind)
    if(NOT arg_NAME)
        set(arg_NAME ${stem})
    endif()
    if(NOT arg_LABELS)
        set(arg_LABELS ${kind})
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 60)
    endif()
    if(NOT arg_ROOM)
        string(REGEX REPLACE "^test_" "" noun ${stem})
        file(GLOB subject ${PROJECT_SOURCE_DIR}/src/*/${noun}.[ch])
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
    add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
    weir_test_surroundings(${arg_NAME} "${arg_LABELS}" ${arg_TIMEOUT})
endfunction()

function(weir_unit_tests)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/test_*.c)
    foreach(source IN LISTS sources)
        weir_unit_test(${source} ${ARGN})
    endforeach()
endfunction()

function(weir_script_test name)
    cmake_parse_arguments(arg "SERIAL" "TIMEOUT" "LABELS" ${ARGN})
    cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME kind)
    if(NOT arg_LABELS)
        set(arg_LABELS ${kind})
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 60)
    endif()
    add_test(NAME ${name} COMMAND ${arg_UNPARSED_ARGUMENTS} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    weir_test_surroundings(${name} "${arg_LABELS}" ${arg_TIMEOUT})
    if(arg_SERIAL)
        set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
    endif()
endfunction()

function(weir_test_surroundings name labels timeout)
    if(NOT WEIR_SANITIZE STREQUAL "none")
        math(EXPR timeout "${timeout} * 4")
    endif()
    set_tests_properties(${name} PROPERTIES
        LABELS "${labels}"
        TIMEOUT ${timeout}
        ENVIRONMENT "WEIR_BIN=${PROJECT_BINARY_DIR}/weir;WEIR_BUILD_DIR=${PROJECT_BINARY_DIR};WEIR_SOURCE_DIR=${PROJECT_SOURCE_DIR};WEIR_SANITIZE=${WEIR_SANITIZE};WEIR_CC=${CMAKE_C_COMPILER};ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1;UBSAN_OPTIONS=print_stacktrace=1;TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
endfunction()
