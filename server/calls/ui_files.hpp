#pragma once

#include <span>
#include <string_view>

#include "server/request_handler.hpp"

namespace locker::server {

/// One file of server/ui/, as it is in the program.
struct UiFile {
  std::string_view name;
  std::string_view etag;  ///< With its quotes.
  std::string_view text;
};

[[nodiscard]] std::span<const UiFile> ui_files();

/// The page for people and its files. `rest` is what follows `/ui` in the URL. Needs no key: there
/// is nothing in it that the program's source does not have; what it shows comes from /v1.
void answer_ui(std::string_view rest, const Request& request, Response& response);

/// Sends a browser that asks for `/` to the page. False: it is no browser.
[[nodiscard]] bool answer_browser_at_root(const Request& request, Response& response);

}  // namespace locker::server
