#include "dataplane/wire/convert/strict_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "dataplane/wire/convert/json_walk.hpp"

namespace balancer::wire::convert {
namespace {

// Not among those that OpenAI supports with strict.
constexpr std::string_view kUnsupported[] = {
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "prefixItems",
};

// Of one schema and those inside of it.
class StrictCheck {
  public:
    explicit StrictCheck(JsonReader::Walk& walk) : walk_(walk) {}

    // `is_object`: whatever its type says; the outermost one has to be.
    void check(Value& schema, bool is_object = false);
    bool fits() const { return fits_; }

  private:
    struct Object {
        std::unordered_set<std::string_view> properties;
        std::unordered_set<std::string_view> required;
        bool is_object = false;
        bool closed = false;
    };

    void member(std::string_view name, Value& value, Object& object);
    void read_type(Value& value, Object& object);
    void check_all(Value& value);

    JsonReader::Walk& walk_;
    bool fits_ = true;
};

void StrictCheck::check(Value& schema, bool is_object) {
    if (walk_.kind(schema) != JsonKind::kObject) {
        fits_ = false;
        return;
    }
    Object object;
    object.is_object = is_object;
    walk_.members(schema, [&](std::string_view name, Value& value) {
        member(name, value, object);
    });
    if (!object.is_object) return;
    bool all_required = std::all_of(
        object.properties.begin(),
        object.properties.end(),
        [&](std::string_view name) { return object.required.contains(name); }
    );
    fits_ = fits_ && object.closed && all_required;
}

void StrictCheck::member(std::string_view name, Value& value, Object& object) {
    if (name == "type") {
        read_type(value, object);
    } else if (name == "properties") {
        object.is_object = true;
        walk_.members(value, [&](std::string_view property, Value& schema) {
            object.properties.insert(property);
            check(schema);
        });
    } else if (name == "required") {
        walk_.elements(value, [&](std::size_t, Value& property) {
            object.required.insert(walk_.string(property));
        });
    } else if (name == "additionalProperties") {
        object.closed = walk_.raw(value) == "false";
    } else if (name == "items") {
        check(value);
    } else if (name == "anyOf" || name == "$defs" || name == "definitions") {
        check_all(value);
    } else if (std::find(std::begin(kUnsupported), std::end(kUnsupported), name) !=
               std::end(kUnsupported)) {
        fits_ = false;
    }
}

void StrictCheck::read_type(Value& value, Object& object) {
    if (walk_.kind(value) == JsonKind::kString) {
        object.is_object = object.is_object || walk_.string(value) == "object";
        return;
    }
    walk_.elements(value, [&](std::size_t, Value& type) {
        object.is_object = object.is_object || walk_.string(type) == "object";
    });
}

void StrictCheck::check_all(Value& value) {
    if (walk_.kind(value) == JsonKind::kArray) {
        walk_.elements(value, [this](std::size_t, Value& schema) { check(schema); });
    } else {
        walk_.members(value, [this](std::string_view, Value& schema) { check(schema); });
    }
}

}  // namespace

bool fits_strict(JsonReader& reader, std::string_view schema) {
    JsonReader::Walk& walk = reader.walk();
    StrictCheck strict(walk);
    std::string wrapped = fmt::format("{{\"schema\":{}}}", schema.empty() ? "{}" : schema);
    Result<void> read = walk.read_object_copy(wrapped, [&strict](std::string_view, Value& value) {
        strict.check(value, true);
    });
    return read && strict.fits();
}

}  // namespace balancer::wire::convert
