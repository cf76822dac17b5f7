#pragma once

#include <string_view>

#include "server/request_handler.hpp"

namespace locker::server {

/// Whether a browser sent this request for another site's page or ahead of time (prefetch,
/// prerender). Such a request must not change anything.
[[nodiscard]] bool is_sent_for_another_site(const Request& request);

/// The message of the 403 with which such a request is refused.
inline constexpr std::string_view another_site_sentence =
    "A browser sent this request for another site's page or as a prefetch; such requests change "
    "nothing.";

/// Answers 403 and returns true if is_sent_for_another_site(). Not for the 1.0b calls, whose errors
/// have another form.
[[nodiscard]] bool refuse_another_site(const Request& request, Response& response);

}  // namespace locker::server
