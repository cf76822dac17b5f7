#pragma once

#include <cstdint>
#include <string_view>

namespace locker::persistence {

/// Returns the CRC-32C (Castagnoli) of bytes that follow those whose checksum is `previous`; pass 0
/// to begin. Uses the processor's instruction if it has one.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t previous, std::string_view bytes);

/// Computes the same without the instruction; public so that a test can compare the two.
[[nodiscard]] std::uint32_t crc32c_by_table(std::uint32_t previous, std::string_view bytes);

}  // namespace locker::persistence
