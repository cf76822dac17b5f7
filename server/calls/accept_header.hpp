#pragma once

#include <string_view>

namespace locker::server {

/// How much a client wants a media type such as "text/plain", in thousandths, by its header Accept
/// (RFC 9110, section 12.5.1): 0 not at all, 1000 most. Without the header everything is as good.
/// Of several ranges that fit the most exact one counts. Parameters other than q are ignored, and
/// so are ranges that are no such.
[[nodiscard]] int quality_of(std::string_view media_type, std::string_view accept);

}  // namespace locker::server
