#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/system/result.hpp>

#include "core/error.hpp"
#include "server/access/access_key.hpp"

namespace locker::server {

/// Reads the text of a key file (ACCESS.md describes it). One mistake, and nothing of it is taken:
/// the fault names `file` and the line.
[[nodiscard]] boost::system::result<std::vector<AccessKey>, core::Fault> parse_key_file(
    std::string_view text, const std::string& file);

/// The same of a file on disk, which must be a regular one.
[[nodiscard]] boost::system::result<std::vector<AccessKey>, core::Fault> read_key_file(
    const std::string& file);

}  // namespace locker::server
