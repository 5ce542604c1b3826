# SPDX-License-Identifier: MIT
#
# weir_outside: what src/store/redis needs of others, for whoever links the room store: hiredis (its reply
# reader) and OpenSSL (TLS, and the names of scripts).
#
# hiredis of at least 1.0 comes from the distribution, and is then linked as any library; or from
# .deps/hiredis (tools/hiredis.sh), and is then part of libweir: see docs/decisions/0012.
find_package(PkgConfig REQUIRED)
find_package(OpenSSL 1.1.1 REQUIRED)
pkg_check_modules(HIREDIS QUIET IMPORTED_TARGET hiredis>=1.0)

add_library(weir_outside INTERFACE)
target_link_libraries(weir_outside INTERFACE OpenSSL::SSL OpenSSL::Crypto)

set(weir_hiredis ${PROJECT_SOURCE_DIR}/.deps/hiredis)
set(weir_archived) # archives that libweir.a takes in
set(weir_private_libraries -lssl -lcrypto) # of who links libweir.a
if(HIREDIS_FOUND)
    target_link_libraries(weir_outside INTERFACE PkgConfig::HIREDIS)
    list(PREPEND weir_private_libraries -lhiredis)
elseif(EXISTS ${weir_hiredis}/lib/libhiredis.a)
    target_include_directories(weir_outside SYSTEM INTERFACE ${weir_hiredis}/include)
    target_link_libraries(weir_outside INTERFACE ${weir_hiredis}/lib/libhiredis.a)
    set(weir_archived ${weir_hiredis}/lib/libhiredis.a)
else()
    message(FATAL_ERROR "hiredis of at least 1.0 is missing; tools/setup.sh run installs or builds it.")
endif()
list(JOIN weir_private_libraries " " weir_private_libraries)

# lease_script[], the text of a script that servers run, for C: its bytes and a zero.
function(weir_redis_script target script)
    set(source ${PROJECT_BINARY_DIR}/lease_script.c)
    file(READ ${script} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    file(CONFIGURE OUTPUT ${source} CONTENT
         "#include \"store/redis/lease_script.h\"\nconst char lease_script[] = {${bytes}0};\n" @ONLY)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${script})
    target_sources(${target} PRIVATE ${source})
endfunction()
