#include "dataplane/wire/convert/strict_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "dataplane/wire/convert/json_walk.hpp"
#include "dataplane/wire/convert/name_list.hpp"

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

// Of "format"; OpenAI refuses all others with strict.
constexpr std::string_view kFormats[] = {
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
};

// Of one schema and those inside of it.
class StrictCheck {
  public:
    explicit StrictCheck(JsonReader::Walk& walk) : walk_(walk) {}

    enum class Level { kRoot, kInside };
    void check(Value& schema, Level level = Level::kInside);
    bool fits() const { return fits_; }

  private:
    struct Object {
        std::unordered_set<std::string_view> properties;
        std::unordered_set<std::string_view> required;
        std::size_t members = 0;
        bool is_object = false;
        bool closed = false;
        bool typed = false;  // says what it is
        bool has_ref = false;
        bool has_choice = false;
    };

    void member(std::string_view name, Value& value, Object& object);
    void read_type(Value& value, Object& object);
    void check_all(Value& value);

    JsonReader::Walk& walk_;
    bool fits_ = true;
};

void StrictCheck::check(Value& schema, Level level) {
    if (walk_.kind(schema) != JsonKind::kObject) {
        fits_ = false;
        return;
    }
    Object object;
    // Whatever its type says: the outermost one has to be.
    object.is_object = level == Level::kRoot;
    walk_.members(schema, [&](std::string_view name, Value& value) {
        ++object.members;
        member(name, value, object);
    });
    bool ref_has_siblings = object.has_ref && object.members > 1;
    bool root_is_a_choice = object.has_choice && level == Level::kRoot;
    if (!object.typed || ref_has_siblings || root_is_a_choice) fits_ = false;
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
        object.typed = true;
        read_type(value, object);
    } else if (name == "$ref") {
        object.typed = true;
        object.has_ref = true;
    } else if (name == "format") {
        if (!is_among(kFormats, walk_.string(value))) fits_ = false;
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
    } else if (name == "anyOf") {
        object.typed = true;
        object.has_choice = true;
        check_all(value);
    } else if (name == "$defs" || name == "definitions") {
        check_all(value);
    } else if (is_among(kUnsupported, name)) {
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
        strict.check(value, StrictCheck::Level::kRoot);
    });
    return read && strict.fits();
}

}  // namespace balancer::wire::convert
