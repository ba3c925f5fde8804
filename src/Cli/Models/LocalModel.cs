using LlamaCluster.Cli.Commands;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Local;
using LlamaCluster.Primitives;
using LlamaCluster.Text;

namespace LlamaCluster.Cli.Models;

/// <summary>A model with its tokenizer and template, loaded into this process. Numbers that are not finite are a <see cref="CommandFailedException"/>.</summary>
sealed class LocalModel : IDisposable
{
    readonly string _path;
    readonly LocalGenerator _generator;

    LocalModel(string path, ModelText text, LocalGenerator generator)
    {
        _path = path;
        Text = text;
        _generator = generator;
    }

    public ModelText Text { get; }

    /// <summary>Loads a model, with a progress bar on a terminal.</summary>
    /// <param name="contextFor">The positions to allocate for, at most the model's context.</param>
    /// <exception cref="ModelFormatException">Files are missing, damaged or not supported.</exception>
    public static LocalModel Load(string path, ModelText text, Func<LlamaConfig, int> contextFor, TextWriter error, CancellationToken cancellation)
    {
        using var weights = ModelFiles.Open(path);
        var options = new LocalGeneratorOptions { ContextLength = contextFor(weights.Config) };
        var generator = LoadingBar.Show(
            error, $"loading {weights.Name}", weights.Tensors.Sum(tensor => tensor.Bytes), loaded => new LocalGenerator(weights, options, loaded, cancellation));
        return new LocalModel(path, text, generator);
    }

    /// <summary>See <see cref="LocalGenerator.Generate"/>; the model's own stop ids end the text.</summary>
    public IEnumerable<SampledToken> Generate(IReadOnlyList<int> prompt, SamplingOptions sampling, int maxTokens, CancellationToken cancellation)
    {
        using var tokens = _generator.Generate(prompt, sampling, maxTokens, Text.Tokenizer.StopIds, cancellation).GetEnumerator();
        while (Guarded(tokens.MoveNext)) yield return tokens.Current;
    }

    /// <summary>See <see cref="LocalGenerator.Score"/>.</summary>
    public IReadOnlyList<SampledToken> Score(IReadOnlyList<int> tokens, CancellationToken cancellation) =>
        Guarded(() => _generator.Score(tokens, cancellation: cancellation));

    public void Dispose() => _generator.Dispose();

    T Guarded<T>(Func<T> compute)
    {
        try
        {
            return compute();
        }
        catch (InvalidOperationException failure)
        {
            throw new CommandFailedException($"{_path}: {failure.Message}");
        }
    }
}
