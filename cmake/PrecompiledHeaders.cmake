# What most files of a target include is parsed once for all of them: `locker` alone takes 94 s of
# processor time instead of 163. Only headers of others are in these lists, and every file still
# includes what it uses: CMAKE_DISABLE_PRECOMPILE_HEADERS=ON builds without (`./dev asan` does).
set(locker_standard_headers
  <algorithm> <array> <chrono> <functional> <map> <memory> <optional> <string> <string_view>
  <utility> <vector>)
set(locker_asio_headers
  ${locker_standard_headers} <boost/asio/awaitable.hpp> <boost/asio/co_spawn.hpp>
  <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp>
  <boost/asio/steady_timer.hpp> <boost/beast/http.hpp> <boost/json.hpp>)
if(NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
  # -fpch-preprocess: ccache then knows what a precompiled header is made of; it also wants
  # CCACHE_SLOPPINESS, which the presets set. The warning: g++ 12 forgets that such a
  # header is the system's, and tells of a bound inside std::string_view that cannot occur.
  add_compile_options(
    $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess> $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overread>)
endif()
