#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace locker::server {

/// A request target and its parts, verbatim: still percent-encoded. All code that decides by a
/// target splits it here, so that no two places can interpret it differently.
struct RequestTarget {
  std::string_view text;   ///< The whole target.
  std::string_view path;   ///< Everything before the `?`.
  std::string_view query;  ///< Everything after the `?`.
  std::string_view verb;   ///< The first segment of the path, with its slash: "/canhaz".
  std::string_view rest;   ///< The rest of the path, after the verb.

  RequestTarget() = default;
  explicit RequestTarget(std::string_view target) : text(target) {
    const std::size_t question = std::min(text.find('?'), text.size());
    path = text.substr(0, question);
    if (question < text.size()) query = text.substr(question + 1);
    const std::size_t end = std::min(path.find('/', 1), path.size());
    verb = path.substr(0, end);
    rest = path.substr(end);
  }
};

}  // namespace locker::server
