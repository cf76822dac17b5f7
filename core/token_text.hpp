#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/lock.hpp"

namespace locker::core {

/// Appends the token's text form: 36 characters, lower case, "cb7edb5c-6b7c-4b60-…".
void append_token(const Token& token, std::string& out);

/// Parses that form, in either case; null for anything else.
[[nodiscard]] std::optional<Token> parse_token(std::string_view text);

}  // namespace locker::core
