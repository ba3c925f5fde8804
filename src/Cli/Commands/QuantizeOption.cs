using System.CommandLine;
using LlamaCluster.Coordinator;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;

namespace LlamaCluster.Cli.Commands;

/// <summary>--quantize, which every command has that loads weights.</summary>
static class QuantizeOption
{
    public static Option<string?> Create() => new("--quantize")
    {
        HelpName = QuantizationRules.TargetNames.Replace(", ", "|"),
        Description = "round weights that are stored as F32, F16 or BF16 to this type while they are loaded",
    };

    /// <summary>The path of the model as it is to be loaded.</summary>
    /// <exception cref="InvalidOptionsException">There is no such type to quantise to.</exception>
    public static string PathOf(ParseResult parsed, Option<string?> option, string model)
    {
        if (parsed.GetValue(option) is not { } name) return model;
        return QuantizationRules.FindTarget(name) is { } target
            ? new QuantizedModelPath(model, target).ToString()
            : throw new InvalidOptionsException($"--quantize is {name}; it must be one of {QuantizationRules.TargetNames}");
    }
}
