# SPDX-License-Identifier: MIT
#
# weir_room(base)  makes the OBJECT library weir_base from src/base/**.c; a room without a C file
# (only headers, or none yet) makes no target. Which room may include which is tools/rooms.py's
# business: the compiler sees all of src/.

function(weir_room room)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS
         ${PROJECT_SOURCE_DIR}/src/${room}/*.c)
    if(NOT sources)
        return()
    endif()
    add_library(weir_${room} OBJECT ${sources})
    target_link_libraries(weir_${room} PRIVATE weir_flags)
    if(room STREQUAL "cmd")
        target_include_directories(weir_${room} PRIVATE ${ZLIB_INCLUDE_DIRS})
    endif()
    if(room MATCHES "^(store|cmd)$")
        target_link_libraries(weir_${room} PRIVATE weir_outside)
    endif()
    # One set of objects serves the shared library, the archive and the binary.
    set_target_properties(weir_${room} PROPERTIES
        POSITION_INDEPENDENT_CODE ON
        C_VISIBILITY_PRESET hidden)
endfunction()

# weir_room_objects(VARIABLE room...)  the objects of these rooms, as a list for target_sources().
function(weir_room_objects variable)
    set(objects)
    foreach(room IN LISTS ARGN)
        if(TARGET weir_${room})
            list(APPEND objects $<TARGET_OBJECTS:weir_${room}>)
        endif()
    endforeach()
    set(${variable} ${objects} PARENT_SCOPE)
endfunction()
