#pragma once

#include <string_view>

namespace locker::core {

enum class TextFault { none, not_utf8, control_character };

/// Checks that the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates) without
/// control characters (C0, DEL, C1): the rule for all text that people will read.
[[nodiscard]] TextFault check_text(std::string_view bytes);

/// Whether all bytes are from space to tilde; check_text() accepts all such text.
[[nodiscard]] bool is_printable_ascii(std::string_view bytes);

}  // namespace locker::core
