# SPDX-License-Identifier: MIT
#
# What people get: libweir.so, libweir.a, the binary, and how other builds find them.

if(NOT TARGET weir_api)
    message(STATUS "src/api holds no C file: no libweir in this build")
else()
    # Hidden visibility leaves exactly what weir.h marks WEIR_API.
    add_library(weir_shared SHARED ${weir_library_objects})
    target_link_libraries(weir_shared PRIVATE weir_flags weir_outside Threads::Threads)
    set_target_properties(weir_shared PROPERTIES
        OUTPUT_NAME weir
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
                --whole-archive ${weir_archived} --no-whole-archive
        COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${PROJECT_BINARY_DIR}/libweir.o
        COMMAND ${CMAKE_COMMAND} -E rm -f ${PROJECT_BINARY_DIR}/libweir.a
        COMMAND ${CMAKE_AR} rcsD ${PROJECT_BINARY_DIR}/libweir.a ${PROJECT_BINARY_DIR}/libweir.o
        DEPENDS ${weir_library_objects} ${weir_archived}
        COMMAND_EXPAND_LISTS VERBATIM
        COMMENT "Joining libweir.a")
    add_custom_target(weir_static ALL DEPENDS ${PROJECT_BINARY_DIR}/libweir.a)

    install(TARGETS weir_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(FILES ${PROJECT_BINARY_DIR}/libweir.a DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(FILES ${PROJECT_SOURCE_DIR}/include/weir.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    if(weir_archived)
        # What is in the libraries goes with its licence.
        install(FILES ${weir_hiredis}/COPYING DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME COPYING.hiredis)
    endif()

    include(CMakePackageConfigHelpers)
    configure_file(cmake/weir.pc.in weir.pc @ONLY)
    configure_package_config_file(cmake/weir-config.cmake.in weir-config.cmake
        INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/weir
        PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
    write_basic_package_version_file(weir-config-version.cmake COMPATIBILITY SameMajorVersion)
    install(FILES ${PROJECT_BINARY_DIR}/weir.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    install(FILES ${PROJECT_BINARY_DIR}/weir-config.cmake ${PROJECT_BINARY_DIR}/weir-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
endif()

if(TARGET weir_cmd)
    add_executable(weir ${weir_library_objects} ${weir_program_objects})
    target_link_libraries(weir PRIVATE weir_flags weir_outside Threads::Threads ZLIB::ZLIB m)
    set_target_properties(weir PROPERTIES LINKER_LANGUAGE C)
    install(TARGETS weir RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
else()
    message(STATUS "src/cmd holds no C file: no weir binary in this build")
endif()
