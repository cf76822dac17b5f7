#pragma once

#include <string_view>

#include "server/request_handler.hpp"

namespace locker::server {

/// Whether a browser sent this for another site's page, or ahead of time: nothing may change then.
[[nodiscard]] bool is_sent_for_another_site(const Request& request);

/// Why such a request is refused, with 403.
inline constexpr std::string_view another_site_sentence =
    "A browser sent this for another site's page or ahead of time; nothing is changed that way.";

/// Answers such a request of all but the 1.0b calls; false when it is none.
[[nodiscard]] bool refuse_another_site(const Request& request, Response& response);

}  // namespace locker::server
