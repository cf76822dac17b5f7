#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace locker::bench {

/// Appends a number as HTTP/2, ZooKeeper and PostgreSQL encode it.
template <std::integral Number>
void append_big_endian(std::type_identity_t<Number> number, std::string& out) {
  const auto bits = static_cast<std::uint64_t>(number);
  for (std::size_t i = sizeof(Number); i-- > 0;) out += static_cast<char>(bits >> (8 * i));
}

/// Reads such a number. REQUIRES: the bytes are there.
template <std::integral Number>
[[nodiscard]] Number read_big_endian(std::string_view bytes, std::size_t at) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    bits = bits << 8U | static_cast<unsigned char>(bytes[at + i]);
  }
  return static_cast<Number>(bits);
}

/// Fills in the length of what follows `at`, where four bytes were left for it. `counts_itself`:
/// whether the protocol includes those four bytes in the length.
inline void set_length(std::size_t at, bool counts_itself, std::string& out) {
  const std::size_t length = out.size() - at - (counts_itself ? 0 : 4);
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>(length >> (8 * (3 - i)));
}

}  // namespace locker::bench
