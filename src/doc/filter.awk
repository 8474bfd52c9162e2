# SPDX-License-Identifier: MIT
# Doxygen's INPUT_FILTER: makes the comments of a public header Doxygen's. The headers are written to be read as they
# are; what a comment belongs to follows from where it stands:
#   - the first one of a file (behind the licence) describes the file
#   - one on lines of its own describes the declarations behind it, up to the next empty line; all but the first one
#     refer to the first one's
#   - one behind a declaration describes that one
#   - the members of a struct of which no member has a comment of its own are described by the struct's

# Text of a comment: nothing in it is a command, a tag or emphasis, names are links; what is indented stays as it is.
function prose(text,    out, word) {
  gsub(/\\/, "\\\\", text)
  gsub(/</, "\\<", text)
  gsub(/>/, "\\>", text)
  gsub(/\*/, "\\*", text)
  gsub(/@/, "\\@", text)
  out = ""
  while (match(text, /zcmem_[a-z0-9_]*[a-z0-9]/)) {
    word = substr(text, RSTART, RLENGTH)
    # zcmem_mem_* names a family, not one function.
    if (substr(text, RSTART + RLENGTH) ~ /^(_|\/|\.h|\()/) # a call is a link as it is
      out = out substr(text, 1, RSTART - 1) word
    else if (substr(text, RSTART - 1, 1) ~ /[A-Za-z0-9_\/]/)
      out = out substr(text, 1, RSTART - 1) word
    else
      out = out substr(text, 1, RSTART - 1) "#" word
    text = substr(text, RSTART + RLENGTH)
  }
  return out text
}

# A line of a comment that has more than one line: what is behind its star.
function body(line,    text) {
  text = line
  sub(/^ \*/, "", text)
  if (text ~ /^   / && !verbatim) {
    verbatim = 1
    return " * @verbatim\n" text
  }
  if (verbatim && text !~ /^   / && text !~ /^ *$/) {
    verbatim = 0
    return "@endverbatim\n *\n *" prose(text)
  }
  return verbatim ? text : " *" prose(text)
}

function name_of(declaration,    text) {
  text = declaration
  if (text ~ /^#define /) {
    sub(/^#define /, "", text)
    sub(/[^A-Za-z0-9_].*/, "", text)
    return text
  }
  if (text ~ /^(struct|enum|union) [a-z0-9_]+ \{/) {
    split(text, word, " ")
    return word[2]
  }
  if (text ~ /^typedef .*\(\*/) {
    sub(/.*\(\*/, "", text)
    sub(/\).*/, "", text)
    return text
  }
  sub(/[(;].*/, "", text)
  sub(/.*[ *]/, "", text)
  return text
}

{ lines[NR] = $0 }

END {
  for (i = 1; i <= NR; i++) {
    line = lines[i]

    if (in_comment) { # of its own, several lines
      if (line ~ /^ \*\/$/) {
        print(verbatim ? "@endverbatim */" : " */")
        in_comment = verbatim = 0
      } else if (line ~ /\*\/$/) {
        sub(/ *\*\/$/, "", line)
        print body(line) " */"
        in_comment = verbatim = 0
      } else
        print body(line)
      continue
    }
    if (in_trailing) { # behind a declaration, several lines
      if (line ~ /\*\/$/) {
        in_trailing = 0
        sub(/\*\/$/, "", line)
        print prose(line) "*/"
      } else
        print prose(line)
      continue
    }
    # Doxygen knows no types that are only declared.
    if (line ~ /^\/\* SPDX/ || line ~ /^\/\* ---/ || line ~ /^(typedef )?struct [a-z0-9_]+;/) {
      print line
      continue
    }
    if (line == "") {
      owner = ""
      print ""
      continue
    }

    if (line ~ /^\/\*/) {
      owner = "next"
      start = file_done ? "/** " : "/** @file */ /** "
      file_done = 1
      if (line ~ /\*\/$/) {
        text = substr(line, 3)
        sub(/ *\*\/$/, "", text)
        print start prose(text) " */"
      } else {
        print start prose(substr(line, 3))
        in_comment = 1
      }
      continue
    }

    # A declaration, a member, or what is neither.
    prefix = ""
    if (line ~ /^(#define|ZCMEM_API|extern ZCMEM_API|typedef|struct|enum|union)[ ]/ && line !~ /^struct [a-z0-9_]+;/ &&
        line !~ /_H$/) {
      described = line ~ /\/\*/ || owner == ""
      if (owner == "next")
        owner = name_of(line)
      else if (!described && owner != name_of(line))
        prefix = "/** @copydoc " owner " */" (line ~ /^#/ ? "\n" : " ")
      if (line ~ /\{$/) { # a struct or enum: does any member have a comment?
        whole = owner != ""
        for (j = i + 1; lines[j] !~ /^}/; j++)
          if (lines[j] ~ /\/\*/)
            whole = 0
        of = whole ? name_of(line) : ""
      }
    }
    if (line ~ /^}/)
      of = ""
    at = index(line, "/*")
    if (at > 0) {
      head = substr(line, 1, at - 1)
      text = substr(line, at + 2)
      if (text ~ /\*\/$/) {
        sub(/\*\/$/, "", text)
        print prefix head "/**<" prose(text) "*/"
      } else {
        print prefix head "/**<" prose(text)
        in_trailing = 1
      }
    } else if (of != "" && line ~ /^  .*[;,]$/ )
      print line " /**< See #" of ". */"
    else
      print prefix line
  }
}
