using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Model.Conversion;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cli.Models;

/// <summary>`quantize`: writes a model as one GGUF file of a smaller tensor type.</summary>
static class QuantizeCommand
{
    public static Command Create()
    {
        var model = new Option<string>("--model")
        {
            HelpName = "PATH",
            Description = "a .gguf file (first part if split) or a Hugging Face folder",
            Required = true,
        };
        var to = new Option<string>("--to")
        {
            HelpName = QuantizationRules.TargetNames.Replace(", ", "|"),
            Description = "the type of the matrices; some get a finer one where it counts",
            Required = true,
        };
        var target = new Option<string>("--out") { HelpName = "FILE.gguf", Description = "the file to write", Required = true };
        var command = new Command("quantize", "Write a model as one GGUF file of a smaller tensor type, with its tokenizer and template.")
        {
            model, to, target,
        };
        command.SetAction((parsed, cancellation) =>
        {
            var (source, path) = (parsed.GetRequiredValue(model), parsed.GetRequiredValue(target));
            if (Path.GetFullPath(source) == Path.GetFullPath(path)) throw new InvalidOptionsException($"--out is the model itself, {path}: give another file");
            using var quantizer = new ModelQuantizer(source, TypeOf(parsed.GetRequiredValue(to)));
            LoadingBar.Show(parsed.InvocationConfiguration.Error, $"writing {Path.GetFileName(path)}", quantizer.Bytes, written =>
            {
                quantizer.Write(path, written, cancellation);
                return quantizer.Bytes;
            });
            parsed.InvocationConfiguration.Output.WriteLine(path);
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    static TensorType TypeOf(string name) => QuantizationRules.FindTarget(name)
        ?? throw new InvalidOptionsException($"--to is {name}; it must be one of {QuantizationRules.TargetNames}");
}
