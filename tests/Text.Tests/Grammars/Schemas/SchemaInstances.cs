using System.Text.Json.Nodes;

namespace LlamaCluster.Text.Tests.Grammars.Schemas;

/// <summary>Makes random schemas, and for each a random value that is valid by it, with properties in the schema's order.</summary>
sealed class SchemaInstances(Random random)
{
    static readonly string[] Names = ["a", "ab", "name", "é", "x y", "q\"t", "items", "n1"];
    static readonly string[] Texts = ["", "a", "red", "é😀", "two words", "line\nbreak", "quote\"back\\slash", "\u0001"];

    public (JsonNode Schema, JsonNode? Value) Next(int depth = 3) => random.Next(depth > 0 ? 13 : 7) switch
    {
        0 => (new JsonObject { ["type"] = "null" }, null),
        1 => (new JsonObject { ["type"] = "boolean" }, JsonValue.Create(random.Next(2) == 0)),
        2 => Integer(),
        3 => Number(),
        4 or 5 => Text(),
        6 => Listed(),
        7 or 8 => Array(depth),
        9 => Tuple(depth),
        10 => AnyOf(depth),
        _ => Object(depth),
    };

    (JsonNode, JsonNode?) Integer()
    {
        var value = random.Next(-2000, 2000);
        var schema = new JsonObject { ["type"] = "integer" };
        if (random.Next(2) == 0) schema["minimum"] = value - random.Next(500);
        if (random.Next(2) == 0) schema["exclusiveMaximum"] = value + 1 + random.Next(500);
        return (schema, value);
    }

    (JsonNode, JsonNode?) Number()
    {
        var value = random.Next(-200_000, 200_000) / 100m;
        var schema = new JsonObject { ["type"] = "number" };
        if (random.Next(2) == 0) schema["minimum"] = value - random.Next(3);
        if (random.Next(2) == 0) schema["maximum"] = value + (random.Next(300) / 100m);
        return (schema, value);
    }

    (JsonNode, JsonNode?) Text()
    {
        switch (random.Next(4))
        {
            case 0: return (new JsonObject { ["type"] = "string", ["pattern"] = "^[a-c]+\\d{1,3}(x|é)?$" }, $"{"abc"[random.Next(3)]}b{random.Next(1000)}");
            case 1:
                return (new JsonObject { ["type"] = "string", ["format"] = "date" }, $"20{random.Next(10, 99)}-0{random.Next(1, 10)}-{random.Next(10, 29)}");
            default:
                var text = Texts[random.Next(Texts.Length)];
                var length = text.EnumerateRunes().Count();
                var schema = new JsonObject { ["type"] = "string" };
                if (random.Next(2) == 0) schema["minLength"] = Math.Max(0, length - random.Next(3));
                if (random.Next(2) == 0) schema["maxLength"] = length + random.Next(3);
                return (schema, text);
        }
    }

    (JsonNode, JsonNode?) Listed()
    {
        JsonNode?[] values = [1, "one", null, true, 2.5m, new JsonArray(1, "x"), new JsonObject { ["k"] = "v" }];
        var chosen = values.OrderBy(_ => random.Next()).Take(random.Next(1, 5)).ToArray();
        var value = chosen[random.Next(chosen.Length)]?.DeepClone();
        return (
            chosen.Length == 1
                ? new JsonObject { ["const"] = chosen[0]?.DeepClone() }
                : new JsonObject { ["enum"] = new JsonArray([.. chosen.Select(item => item?.DeepClone())]) },
            value);
    }

    (JsonNode, JsonNode?) Array(int depth)
    {
        var (schema, value) = Next(depth - 1);
        var count = random.Next(4);
        var array = new JsonObject { ["type"] = "array", ["items"] = schema };
        if (random.Next(2) == 0) array["minItems"] = Math.Max(0, count - 1);
        if (random.Next(2) == 0) array["maxItems"] = count + random.Next(2);
        return (array, new JsonArray([.. Enumerable.Range(0, count).Select(_ => value?.DeepClone())]));
    }

    (JsonNode, JsonNode?) Tuple(int depth)
    {
        var parts = Enumerable.Range(0, random.Next(1, 4)).Select(_ => Next(depth - 1)).ToArray();
        var schema = new JsonObject { ["type"] = "array", ["prefixItems"] = new JsonArray([.. parts.Select(part => part.Schema)]), ["items"] = false };
        return (schema, new JsonArray([.. parts.Take(random.Next(parts.Length + 1)).Select(part => part.Value)]));
    }

    (JsonNode, JsonNode?) AnyOf(int depth)
    {
        var parts = Enumerable.Range(0, random.Next(1, 4)).Select(_ => Next(depth - 1)).ToArray();
        return (new JsonObject { ["anyOf"] = new JsonArray([.. parts.Select(part => part.Schema)]) }, parts[random.Next(parts.Length)].Value);
    }

    (JsonNode, JsonNode?) Object(int depth)
    {
        var (properties, required, value) = (new JsonObject(), new JsonArray(), new JsonObject());
        foreach (var name in Names.OrderBy(_ => random.Next()).Take(random.Next(5)))
        {
            var (schema, inner) = Next(depth - 1);
            properties[name] = schema;
            var isRequired = random.Next(2) == 0;
            if (isRequired) required.Add(name);
            if (isRequired || random.Next(2) == 0) value[name] = inner;
        }
        var whole = new JsonObject { ["type"] = "object", ["properties"] = properties, ["required"] = required };
        if (random.Next(3) == 0) whole["additionalProperties"] = false;
        else if (random.Next(3) == 0)
        {
            var (schema, inner) = Next(depth - 1);
            whole["additionalProperties"] = schema;
            if (random.Next(2) == 0) value["more"] = inner;
        }
        return (whole, value);
    }
}
