#pragma once

#include <cstdint>
#include <string_view>

namespace locker::persistence {

/// CRC-32C (Castagnoli) of bytes that follow those whose checksum is `previous`; 0 to begin with.
/// Uses the processor's instruction where there is one.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t previous, std::string_view bytes);

/// The same without the instruction; here so that a test can compare the two.
[[nodiscard]] std::uint32_t crc32c_by_table(std::uint32_t previous, std::string_view bytes);

}  // namespace locker::persistence
