# cmake -D OUTPUT=<file> -P embed.cmake -- <file>…: embeds the files as text in a .cpp that
# defines ui_files() of server/calls/ui_files.hpp. The ETag is a checksum of the contents.
math(EXPR last "${CMAKE_ARGC} - 1")
set(is_file FALSE)
set(entries "")
set(count 0)
foreach(i RANGE ${last})
  set(path "${CMAKE_ARGV${i}}")
  if(path STREQUAL "--")
    set(is_file TRUE)
  elseif(is_file)
    get_filename_component(name "${path}" NAME)
    file(READ "${path}" text)
    file(SHA256 "${path}" checksum)
    string(SUBSTRING "${checksum}" 0 32 checksum)
    string(APPEND entries
      "    {\"${name}\", \"\\\"${checksum}\\\"\", R\"~ui~(${text})~ui~\"},\n")
    math(EXPR count "${count} + 1")
  endif()
endforeach()
file(WRITE "${OUTPUT}" "#include \"server/calls/ui_files.hpp\"

namespace locker::server {
namespace {

constexpr UiFile files[${count}] = {
${entries}};

}  // namespace

std::span<const UiFile> ui_files() { return files; }

}  // namespace locker::server
")
