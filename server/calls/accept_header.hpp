#pragma once

#include <string_view>

namespace locker::server {

/// Returns how much a client prefers a media type such as "text/plain" according to its Accept
/// header (RFC 9110, section 12.5.1), in thousandths: 0 is not acceptable, 1000 is most preferred.
/// Without the header every type is 1000. If several media ranges match, the most specific one
/// counts. Parameters other than q and malformed ranges are ignored.
[[nodiscard]] int quality_of(std::string_view media_type, std::string_view accept);

}  // namespace locker::server
