using System.Text.Json.Nodes;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>A function that the model may ask its caller to run.</summary>
/// <param name="Parameters">The JSON schema of its arguments, an object.</param>
/// <param name="Strict">The arguments must keep to the schema.</param>
sealed record FunctionTool(string Name, string? Description, JsonObject Parameters, bool Strict)
{
    /// <summary>The function as chat templates take it, in OpenAI's form.</summary>
    public JsonObject ToTemplate()
    {
        var function = new JsonObject { ["name"] = Name };
        if (Description is not null) function["description"] = Description;
        function["parameters"] = Parameters.DeepClone();
        return new JsonObject { ["type"] = "function", ["function"] = function };
    }
}

/// <summary>Whether a model must call functions.</summary>
enum ToolChoice
{
    /// <summary>It may answer or call.</summary>
    Auto,

    /// <summary>It calls one at least.</summary>
    Required,
}

/// <summary>The functions of a request, and what the model may do with them.</summary>
/// <param name="Functions">At least one.</param>
/// <param name="Named">The only function that may be called; null: all of them.</param>
/// <param name="Parallel">The model may call several at once.</param>
sealed record ToolUse(IReadOnlyList<FunctionTool> Functions, ToolChoice Choice, string? Named, bool Parallel)
{
    public IReadOnlySet<string> Names { get; } = Functions.Select(function => function.Name).ToHashSet();

    public JsonArray ToTemplate() => new([.. Functions.Select(function => (JsonNode)function.ToTemplate())]);
}
