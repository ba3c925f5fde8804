using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace LlamaCluster.Deployment.Tests.Kubernetes;

/// <summary>
/// A custom resource's schema, checked as the API server does with strict field validation: types, required and unknown fields, enumerations, patterns and
/// bounds.
/// Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions (structural schemas). Rules in CEL are not
/// evaluated.
/// </summary>
sealed class StructuralSchema(JsonNode root)
{
    /// <param name="definition">A CustomResourceDefinition.</param>
    public static StructuralSchema Of(JsonNode definition, string version) => new(
        definition["spec"]!["versions"]!.AsArray().Single(offered => (string)offered!["name"]! == version)!["schema"]!["openAPIV3Schema"]!);

    /// <summary>All that is wrong, each with its path.</summary>
    public IReadOnlyList<string> Problems(JsonNode value)
    {
        List<string> problems = [];
        Check(root, value, "", problems);
        return problems;
    }

    static void Check(JsonNode schema, JsonNode? value, string path, List<string> problems)
    {
        if (value is null)
        {
            if (!Flag(schema, "nullable")) problems.Add($"{path}: null");
            return;
        }
        if (Flag(schema, "x-kubernetes-int-or-string"))
        {
            if (value.GetValueKind() is not (JsonValueKind.Number or JsonValueKind.String)) problems.Add($"{path}: neither a number nor a text");
        }
        else if ((string?)schema["type"] is { } type && !Is(type, value))
        {
            problems.Add($"{path}: is no {type}: {value.ToJsonString()}");
            return;
        }
        if (schema["enum"] is JsonArray allowed && !allowed.Any(one => JsonNode.DeepEquals(one, value)))
            problems.Add($"{path}: {value} is none of {allowed.ToJsonString()}");
        if (value is JsonObject fields) CheckFields(schema, fields, path, problems);
        else if (value is JsonArray items) CheckItems(schema, items, path, problems);
        else CheckScalar(schema, value, path, problems);
    }

    static void CheckFields(JsonNode schema, JsonObject fields, string path, List<string> problems)
    {
        var known = schema["properties"] as JsonObject;
        foreach (var required in (schema["required"] as JsonArray)?.Select(name => (string)name!) ?? [])
            if (!fields.ContainsKey(required)) problems.Add($"{path}.{required}: is missing");
        foreach (var (name, field) in fields)
            if (known?[name] is { } inner) Check(inner, field, $"{path}.{name}", problems);
            else if (schema["additionalProperties"] is JsonObject others) Check(others, field, $"{path}.{name}", problems);
            else if (path.Length > 0 && !Flag(schema, "x-kubernetes-preserve-unknown-fields") && !IsMetadata(schema, path))
                problems.Add($"{path}.{name}: is unknown");
            else if (path.Length == 0 && name is not ("apiVersion" or "kind" or "metadata")) problems.Add($".{name}: is unknown");
    }

    /// <summary>Of an embedded object's metadata a schema says no more than that it is one.</summary>
    static bool IsMetadata(JsonNode schema, string path) => path.EndsWith(".metadata", StringComparison.Ordinal) && schema["properties"] is null;

    static void CheckItems(JsonNode schema, JsonArray items, string path, List<string> problems)
    {
        if (Number(schema, "minItems") > items.Count || Number(schema, "maxItems") < items.Count) problems.Add($"{path}: {items.Count} items");
        if (schema["items"] is { } each)
            foreach (var (index, item) in items.Index()) Check(each, item, $"{path}[{index}]", problems);
    }

    static void CheckScalar(JsonNode schema, JsonNode value, string path, List<string> problems)
    {
        if (value.GetValueKind() == JsonValueKind.String)
        {
            var text = (string)value!;
            if ((string?)schema["pattern"] is { } pattern && !Regex.IsMatch(text, pattern)) problems.Add($"{path}: '{text}' does not match {pattern}");
            if (Number(schema, "minLength") > text.Length || Number(schema, "maxLength") < text.Length) problems.Add($"{path}: '{text}' has the wrong length");
        }
        else if (value.GetValueKind() == JsonValueKind.Number)
        {
            var number = double.Parse(value.ToJsonString(), CultureInfo.InvariantCulture);
            if (Number(schema, "minimum") > number || Number(schema, "maximum") < number) problems.Add($"{path}: {number} is out of range");
        }
    }

    static bool Is(string type, JsonNode value) => (type, value.GetValueKind()) switch
    {
        ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array) or ("string", JsonValueKind.String) or ("number", JsonValueKind.Number) => true,
        ("boolean", JsonValueKind.True or JsonValueKind.False) => true,
        ("integer", JsonValueKind.Number) => long.TryParse(value.ToJsonString(), CultureInfo.InvariantCulture, out _),
        _ => false,
    };

    static bool Flag(JsonNode schema, string name) => schema[name]?.GetValueKind() == JsonValueKind.True;

    static double? Number(JsonNode schema, string name) =>
        schema[name] is { } number ? double.Parse(number.ToJsonString(), CultureInfo.InvariantCulture) : null;
}
