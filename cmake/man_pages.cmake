# man_pages.cmake - man pages and completions, printed by the program itself: cmake -DPROGRAM=... -DFOLDER=... -P
# man_pages.cmake. FOLDER gets man1/effnet.1, man1/effnet-VERB.1 and completions/effnet.bash, .zsh, .fish.
function(keep file)
    execute_process(COMMAND ${PROGRAM} ${ARGN} OUTPUT_FILE ${FOLDER}/${file} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(MAKE_DIRECTORY ${FOLDER}/man1 ${FOLDER}/completions)
keep(man1/effnet.1 help --help=man)
execute_process(COMMAND ${PROGRAM} help --help=words OUTPUT_VARIABLE words COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "(^|\n)[a-z]+" verbs "${words}")
foreach(verb IN LISTS verbs)
    string(STRIP "${verb}" verb)
    if(NOT verb STREQUAL help)
        keep(man1/effnet-${verb}.1 ${verb} --help=man)
    endif()
endforeach()
foreach(shell bash zsh fish)
    keep(completions/effnet.${shell} completion ${shell})
endforeach()
