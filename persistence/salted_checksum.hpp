#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "persistence/crc32c.hpp"
#include "persistence/open_fault.hpp"

namespace locker::persistence {

// Common to the files of a store; for segment_format.cpp and snapshot_format.cpp only.

/// Returns the bytes of a header up to its checksum, which is its last member.
template <typename Bytes>
[[nodiscard]] std::string_view before_checksum(const Bytes& bytes) {
  static_assert(offsetof(Bytes, checksum) + sizeof bytes.checksum == sizeof bytes);
  return {reinterpret_cast<const char*>(&bytes), offsetof(Bytes, checksum)};
}

/// Returns the checksum of a header, without its checksum member, and the records that follow it,
/// in a file with this salt.
template <typename Bytes>
[[nodiscard]] std::uint32_t salted_checksum(const Bytes& bytes, std::string_view records,
                                            std::uint64_t salt) {
  const std::string_view salt_bytes{reinterpret_cast<const char*>(&salt), sizeof salt};
  return crc32c(crc32c(crc32c(0, salt_bytes), before_checksum(bytes)), records);
}

[[nodiscard]] inline OpenFault newer_format(const std::string& path, std::uint32_t version) {
  return {OpenFault::Kind::newer_format,
          path + " has format " + std::to_string(version) +
              ", which this version does not read; use the version that wrote it."};
}

}  // namespace locker::persistence
