using System.CommandLine;
using LlamaCluster.Coordinator;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;

namespace LlamaCluster.Cli.Commands;

/// <summary>--model, for every command that needs a model.</summary>
static class ModelOption
{
    const string Demo = "models/demo/llamacluster-demo-5m-q8_0.gguf";

    public static Option<string?> Create() => new("--model")
    {
        HelpName = "PATH",
        Description = "a .gguf file (first part if split) or a Hugging Face folder, or hf://ORG/REPO[:QUANT] of a hub (see `pull`); "
            + "without it the model that `bundle` put in here, or the demo model",
    };

    /// <summary>The path that was given, or this program's own if it has a model in it, or that of the demo model.</summary>
    public static string PathOf(ParseResult parsed, Option<string?> option) => parsed.GetValue(option) is { } given
        ? HubOption.PathOf(parsed, given)
        : FindOwn() ?? FindDemo();

    /// <summary>The path that was given, or that of the demo model, with the quantisation that was asked for.</summary>
    /// <exception cref="InvalidOptionsException">The quantisation type is unknown.</exception>
    public static string PathOf(ParseResult parsed, Option<string?> option, Option<string?> quantize) =>
        QuantizeOption.PathOf(parsed, quantize, PathOf(parsed, option));

    static string? FindOwn() => Environment.ProcessPath is { } program && ModelBundle.Is(program) ? program : null;

    /// <summary>Looks in the working folder, the program's folder, and all folders above them: the demo model is in the repository.</summary>
    static string FindDemo()
    {
        foreach (var start in new[] { Environment.CurrentDirectory, AppContext.BaseDirectory })
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
                if (Path.Combine(folder.FullName, Demo) is var path && File.Exists(path)) return path;
        throw new CommandFailedException($"no {Demo} in or above {Environment.CurrentDirectory}; give --model PATH");
    }
}

/// <summary>--quantize, for every command that loads weights.</summary>
static class QuantizeOption
{
    public static Option<string?> Create() => new("--quantize")
    {
        HelpName = QuantizationRules.TargetNames.Replace(", ", "|"),
        Description = "round weights that are stored as F32, F16 or BF16, or in a folder as small numbers with scales, to this type while they are loaded",
    };

    /// <summary>The path of the model in the form that the loader understands.</summary>
    /// <exception cref="InvalidOptionsException">The quantisation type is unknown.</exception>
    public static string PathOf(ParseResult parsed, Option<string?> option, string model)
    {
        if (parsed.GetValue(option) is not { } name) return model;
        return QuantizationRules.FindTarget(name) is { } target
            ? new QuantizedModelPath(model, target).ToString()
            : throw new InvalidOptionsException($"--quantize is {name}; it must be one of {QuantizationRules.TargetNames}");
    }
}

/// <summary>--shape, for commands that need no weights: the sizes of a model.</summary>
static class ShapeOption
{
    /// <param name="what">What the command does with a shape.</param>
    public static Option<string?> Create(string what) => new("--shape")
    {
        HelpName = "NAME|hidden=..,..",
        Description = $"{what}: {string.Join(", ", ModelShape.PresetNames)} or hidden=2048,layers=16,ffn=8192,heads=32,kv-heads=8,vocab=32000",
    };

    /// <exception cref="InvalidOptionsException">The shape is not valid.</exception>
    public static ModelShape Parse(string shape)
    {
        try
        {
            return ModelShape.Parse(shape);
        }
        catch (FormatException wrong)
        {
            throw new InvalidOptionsException($"--shape: {wrong.Message}");
        }
    }
}
