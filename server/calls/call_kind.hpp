#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "server/request_handler.hpp"
#include "server/request_target.hpp"

namespace locker::server {

/// Returns the name of this kind of call in the metrics. It has static lifetime.
[[nodiscard]] std::string_view name_of(CallKind call);

/// Classifies a request for routing, access control and metrics. On /v1/locks and /v1/leases an
/// unsupported method is classified as the call that reads, so each user of this function checks
/// the method itself. A forced release of one path (force=true) is classified as a release; the
/// handler corrects that after it has read the parameters.
[[nodiscard]] CallKind call_of(const RequestTarget& target, Method method);

/// The calls of CallKind::operations.
enum class Operation : std::uint8_t { healthz, readyz, metrics, status, openapi };

/// Returns the operation at this target, whatever the method.
[[nodiscard]] std::optional<Operation> operation_of(const RequestTarget& target);

/// Returns "/a/b" for "/v1/locks/a/b", still percent-encoded. REQUIRES: call_of() is acquire,
/// release or look.
[[nodiscard]] std::string_view path_of_lock(const RequestTarget& target);

}  // namespace locker::server
