#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace locker::bench {

// The part of protobuf's encoding that the few etcd messages need.

inline void append_varint(std::uint64_t number, std::string& out) {
  for (; number >= 0x80; number >>= 7U) out += static_cast<char>(number | 0x80U);
  out += static_cast<char>(number);
}

inline void append_field(unsigned field, std::uint64_t number, std::string& out) {
  append_varint(field << 3U, out);
  append_varint(number, out);
}

inline void append_field(unsigned field, std::string_view bytes, std::string& out) {
  append_varint(field << 3U | 2U, out);
  append_varint(bytes.size(), out);
  out += bytes;
}

/// Iterates over the fields of a message. Supports only numbers and bytes: etcd's messages have no
/// others.
class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : rest_(message) {}
  /// Returns false at the end.
  bool next() {
    if (rest_.empty()) return false;
    const std::uint64_t key = varint();
    field = static_cast<unsigned>(key >> 3U);
    number = varint();
    if ((key & 7U) == 2) {
      bytes = rest_.substr(0, number);
      rest_.remove_prefix(bytes.size());
    }
    return true;
  }
  unsigned field = 0;
  std::uint64_t number = 0;  ///< Or the length of the bytes.
  std::string_view bytes;

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) break;
    }
    return value;
  }
  std::string_view rest_;
};

}  // namespace locker::bench
