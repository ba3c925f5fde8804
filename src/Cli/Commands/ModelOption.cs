using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>--model, which every command has that needs a model.</summary>
static class ModelOption
{
    const string Demo = "models/demo/llamacluster-demo-5m-q8_0.gguf";

    public static Option<string?> Create() => new("--model")
    {
        HelpName = "PATH",
        Description = "a .gguf file (first part if split) or a Hugging Face folder; without it the demo model",
    };

    /// <summary>The path that was given, or that of the demo model.</summary>
    public static string PathOf(ParseResult parsed, Option<string?> option) => parsed.GetValue(option) ?? FindDemo();

    /// <summary>The same, quantised if that was asked for.</summary>
    /// <exception cref="InvalidOptionsException">There is no such type to quantise to.</exception>
    public static string PathOf(ParseResult parsed, Option<string?> option, Option<string?> quantize) => QuantizeOption.PathOf(parsed, quantize, PathOf(parsed, option));

    /// <summary>The demo model is in the repository, within which the program runs or was built.</summary>
    static string FindDemo()
    {
        foreach (var start in new[] { Environment.CurrentDirectory, AppContext.BaseDirectory })
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
                if (Path.Combine(folder.FullName, Demo) is var path && File.Exists(path)) return path;
        throw new CommandFailedException($"no {Demo} in or above {Environment.CurrentDirectory}; give --model PATH");
    }
}
