# SPDX-License-Identifier: MIT
#
# What people get: libweir.so, libweir.a, the binary, and how other builds find them.

if(NOT TARGET weir_api)
    message(STATUS "src/api holds no C file: no libweir in this build")
else()
    # Hidden visibility leaves exactly what weir.h marks WEIR_API.
    add_library(weir_shared SHARED ${weir_library_objects})
    target_link_libraries(weir_shared PRIVATE weir_flags Threads::Threads)
    target_include_directories(weir_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    set_target_properties(weir_shared PROPERTIES
        OUTPUT_NAME weir
        EXPORT_NAME shared
        VERSION ${PROJECT_VERSION}
        SOVERSION ${PROJECT_VERSION_MAJOR}
        LINKER_LANGUAGE C)
    if(WEIR_SANITIZE STREQUAL "none")
        target_link_options(weir_shared PRIVATE LINKER:-z,defs LINKER:-z,relro LINKER:-z,now)
    endif()

    # An archive has no visibility: joining the objects into one and making its hidden symbols
    # local gives it the same face as the shared library, so that a program may have a
    # table_find() of its own.
    add_custom_command(
        OUTPUT ${PROJECT_BINARY_DIR}/libweir.a
        COMMAND ${CMAKE_LINKER} -r -o ${PROJECT_BINARY_DIR}/libweir.o ${weir_library_objects}
        COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${PROJECT_BINARY_DIR}/libweir.o
        COMMAND ${CMAKE_COMMAND} -E rm -f ${PROJECT_BINARY_DIR}/libweir.a
        COMMAND ${CMAKE_AR} rcsD ${PROJECT_BINARY_DIR}/libweir.a ${PROJECT_BINARY_DIR}/libweir.o
        DEPENDS ${weir_library_objects}
        COMMAND_EXPAND_LISTS VERBATIM
        COMMENT "Joining libweir.a")
    add_custom_target(weir_static ALL DEPENDS ${PROJECT_BINARY_DIR}/libweir.a)

    install(TARGETS weir_shared EXPORT weir-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(FILES ${PROJECT_BINARY_DIR}/libweir.a DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(FILES include/weir.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()

if(TARGET weir_cmd)
    add_executable(weir ${weir_library_objects} ${weir_program_objects})
    target_link_libraries(weir PRIVATE weir_flags Threads::Threads ZLIB::ZLIB m)
    set_target_properties(weir PROPERTIES LINKER_LANGUAGE C)
    install(TARGETS weir RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
else()
    message(STATUS "src/cmd holds no C file: no weir binary in this build")
endif()
