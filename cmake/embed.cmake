# effnet_embed(VARIABLE FILE): a C file, whose path goes to VARIABLE, with the text of FILE as `text_of_NAME`,
# NUL-terminated (depthwise.cu: text_of_depthwise_cu). Made again when FILE changes.
function(effnet_embed variable file)
    get_filename_component(base ${file} NAME)
    string(MAKE_C_IDENTIFIER text_of_${base} name)
    set(made ${PROJECT_BINARY_DIR}/embedded/${name}.c)
    file(READ ${PROJECT_SOURCE_DIR}/${file} text HEX)
    string(REGEX REPLACE "(..)" "0x\\1," text "${text}")
    file(CONFIGURE OUTPUT ${made} CONTENT "/* ${file} */\nextern const char ${name}[];\nconst char ${name}[] = {${text}0};\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${file})
    set(${variable} ${made} PARENT_SCOPE)
endfunction()
