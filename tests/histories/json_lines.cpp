#include "tests/histories/json_lines.hpp"

#include <array>
#include <fstream>
#include <stdexcept>

#include <boost/json.hpp>

namespace locker::histories {

namespace json = boost::json;

void for_each_json_line(const std::string& file,
                        const std::function<void(std::uint64_t, const json::object&)>& visit) {
  std::ifstream in{file};
  if (!in) throw std::runtime_error(file + " cannot be opened");
  std::string text;
  std::array<unsigned char, 65'536> memory;
  for (std::uint64_t line = 1; std::getline(in, text); ++line) {
    json::monotonic_resource resource{memory.data(), memory.size()};
    try {
      visit(line, json::parse(text, &resource).as_object());
    } catch (const std::exception& fault) {
      throw std::runtime_error(file + ":" + std::to_string(line) + ": " + fault.what());
    }
  }
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains({name.data(), name.size()});
  if (value == nullptr || value->is_null()) return {};
  return std::string{value->as_string()};
}

std::int64_t number_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains({name.data(), name.size()});
  if (value == nullptr || value->is_null()) return 0;
  return value->to_number<std::int64_t>();
}

bool flag_of(const json::object& object, std::string_view name, bool otherwise) {
  const json::value* const value = object.if_contains({name.data(), name.size()});
  return value != nullptr && !value->is_null() ? value->as_bool() : otherwise;
}

}  // namespace locker::histories
