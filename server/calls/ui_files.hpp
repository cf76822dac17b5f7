#pragma once

#include <span>
#include <string_view>

#include "server/request_handler.hpp"

namespace locker::server {

/// A file of server/ui/, embedded in the program.
struct UiFile {
  std::string_view name;
  std::string_view etag;  ///< Including its quotes.
  std::string_view text;
};

[[nodiscard]] std::span<const UiFile> ui_files();

/// Serves /ui: the page for people and its files. Needs no key: the files are public in the source
/// of the program, and the data they show comes from /v1.
void answer_ui(const Request& request, Response& response);

/// Redirects a browser that requests `/` to the page. Returns false if the client is not a browser.
[[nodiscard]] bool answer_browser_at_root(const Request& request, Response& response);

}  // namespace locker::server
