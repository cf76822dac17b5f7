#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "server/request_handler.hpp"
#include "server/service/lock_pages.hpp"

namespace locker::server {

// What the answers that list locks share: pages, and a table for people instead of JSON.

/// Reads the parameter `after`: a position in a list, as given in `next`.
[[nodiscard]] std::optional<core::Fault> read_after(std::string_view text,
                                                    std::optional<core::LockId>& after);

/// Appends a JSON array; `append` writes an element, given the element and its index.
template <typename Append>
void append_list(const std::vector<core::LockInfo>& infos, std::string& body,
                 const Append& append) {
  body += '[';
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (i != 0) body += ", ";
    append(infos[i], i);
  }
  body += ']';
}

/// Appends `next`, the last member, and closes the object.
void append_next(std::optional<core::LockId> next, std::string& body);

/// Whether the client prefers the table to JSON.
[[nodiscard]] bool wants_text(const Request& request);
[[nodiscard]] std::string text_page(const LockPages::Page& page, const core::Now& now);
void answer_text(std::string text, Response& response);

}  // namespace locker::server
