#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/system/result.hpp>

#include "core/error.hpp"
#include "server/access/access_key.hpp"

namespace locker::server {

/// Parses the text of a key file (see ACCESS.md). A single mistake rejects the whole file; the
/// fault names `file` and the line.
[[nodiscard]] boost::system::result<std::vector<AccessKey>, core::Fault> parse_key_file(
    std::string_view text, const std::string& file);

/// Reads and parses a key file, which must be a regular file.
[[nodiscard]] boost::system::result<std::vector<AccessKey>, core::Fault> read_key_file(
    const std::string& file);

}  // namespace locker::server
