using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;

namespace LlamaCluster.Cli.Models;

/// <summary>`bundle`: writes a program that has a model in it, in one file that needs nothing else.</summary>
static class BundleCommand
{
    public static Command Create()
    {
        var model = new Option<string>("--model") { HelpName = "FILE.gguf", Description = "the model, one GGUF file", Required = true };
        var target = new Option<string>("--out") { HelpName = "BIN", Description = "the program to write; the API names the model after it", Required = true };
        var program = new Option<string?>("--program")
        {
            HelpName = "FILE",
            Description = "a llamacluster that was published as one file, perhaps for another kind of machine; without it this one",
        };
        var command = new Command("bundle", "Write one file that is this program and a model: `./BIN up` serves it, with nothing installed.")
        {
            model, target, program,
        };
        command.SetAction((parsed, cancellation) =>
        {
            var (source, path) = (parsed.GetRequiredValue(model), parsed.GetRequiredValue(target));
            Check(source);
            var own = parsed.GetValue(program) ?? OwnFile();
            if (!File.Exists(own)) throw new CommandFailedException($"{own}: no such file");
            if (new[] { source, own }.Any(file => Path.GetFullPath(file) == Path.GetFullPath(path)))
                throw new InvalidOptionsException($"--out is {path}, which is read from: give another file");
            var bytes = new FileInfo(own).Length + new FileInfo(source).Length;
            LoadingBar.Show(parsed.InvocationConfiguration.Error, $"writing {Path.GetFileName(path)}", bytes, written =>
            {
                ModelBundle.Write(own, source, path, written, cancellation);
                return bytes;
            });
            parsed.InvocationConfiguration.Output.WriteLine(path);
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    /// <exception cref="CommandFailedException">It is a folder, or has other parts.</exception>
    /// <exception cref="LlamaCluster.Primitives.ModelFormatException">It is no model.</exception>
    static void Check(string model)
    {
        if (Directory.Exists(model)) throw new CommandFailedException($"{model} is a folder; `llamacluster quantize` makes one GGUF file of it");
        using var opened = ModelFiles.Open(model);
        if (opened.Tensors.Select(opened.FileOf).Distinct().Count() > 1)
            throw new CommandFailedException($"{model} is one part of several; `llamacluster quantize` makes one GGUF file of them");
    }

    static string OwnFile() => Environment.ProcessPath is { } path && IsOneFile ? path : throw new CommandFailedException(
        "this program is not one file: make one with `dotnet publish src/Cli -c Release -r linux-x64 --self-contained -p:PublishSingleFile=true -o DIR`, "
        + "and run `bundle` of that, or give it as --program");

    /// <summary>An assembly in one file with the program has no place of its own.</summary>
    static bool IsOneFile => !File.Exists(Path.Combine(AppContext.BaseDirectory, $"{typeof(BundleCommand).Assembly.GetName().Name}.dll"));
}
