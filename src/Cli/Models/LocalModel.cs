using System.Globalization;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Worker;

namespace LlamaCluster.Cli.Models;

/// <summary>The files of a model that is to be loaded into this process: its headers, its tokenizer and its template. Weights are not read yet.</summary>
sealed class LocalFiles : IDisposable
{
    LocalFiles(string path, IModelWeights weights, ModelText text) => (Path, Weights, Text) = (path, weights, text);

    public string Path { get; }

    public IModelWeights Weights { get; }

    public ModelText Text { get; }

    /// <exception cref="ModelFormatException">Files are missing, damaged or not supported.</exception>
    public static LocalFiles Open(string path)
    {
        // The headers first: they say more of a wrong path than a tokenizer that is not there.
        var weights = ModelFiles.Open(path);
        try
        {
            return new LocalFiles(path, weights, ModelTextReader.Open(path));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    public void Dispose() => Weights.Dispose();
}

/// <summary>
/// A model with its tokenizer and template, loaded into this process. Numbers that are not finite are a <see cref="CommandFailedException"/>.
/// </summary>
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
    /// <param name="contextLength">The positions to allocate for, at most the model's context.</param>
    /// <param name="remedy">What the user can do if there is too little memory for that.</param>
    /// <exception cref="ModelFormatException">Files are damaged or not supported.</exception>
    /// <exception cref="CommandFailedException">This machine has too little memory.</exception>
    public static LocalModel Load(LocalFiles files, int contextLength, KvType kvType, string remedy, TextWriter error, CancellationToken cancellation)
    {
        var options = new LocalGeneratorOptions { ContextLength = contextLength, KvType = kvType };
        var need = MemoryNeed.Of(files.Weights, KvBlock.CountFor(contextLength), kvType, Math.Min(options.MaxStepRows, contextLength));
        if (FewBitsHint.Of(files.Weights) is { } hint) error.WriteLine(hint);
        if (need.Problem(WorkerMemory.Free(), remedy) is { } problem) throw new CommandFailedException(problem);
        var bytes = files.Weights.Tensors.Sum(tensor => tensor.Bytes);
        return new LocalModel(files.Path, files.Text, LoadingBar.Show(
            error, $"loading {files.Weights.Name}", bytes, loaded => new LocalGenerator(files.Weights, options, loaded, cancellation)));
    }

    /// <summary>See <see cref="LocalGenerator.Generate"/>; the model's own stop ids end the text.</summary>
    public IEnumerable<SampledToken> Generate(
        IReadOnlyList<int> prompt, SamplingOptions sampling, int maxTokens, FollowedGrammar? grammar, CancellationToken cancellation)
    {
        using var tokens = _generator.Generate(prompt, sampling, maxTokens, Text.Tokenizer.StopIds, grammar, cancellation).GetEnumerator();
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

/// <summary>
/// The memory that a model takes in this process, reckoned before anything is allocated: the system ends a process that takes more than there is.
/// </summary>
/// <param name="WeightBytes">As stored; what layers share counts once.</param>
/// <param name="KvBlocks">Each of 16 positions.</param>
sealed record MemoryNeed(string Model, double WeightBytes, long KvBlocks, double KvBlockBytes, double BufferBytes)
{
    double Total => WeightBytes + KvBlocks * KvBlockBytes + BufferBytes;

    public static MemoryNeed Of(IModelWeights weights, long kvBlocks, KvType kvType, int stepRows)
    {
        var (config, shape) = (weights.Config, StageShape.Whole(weights.Config.LayerCount));
        var stored = ShardParts.Held(weights, shape, StageSlice.Whole(config)).Of(weights.Tensors).Sum(part => (double)part.Bytes);
        return new MemoryNeed(
            weights.Name, stored, kvBlocks, StageMemory.KvBytesPerBlock(config, shape, kvType), StageMemory.BufferBytes(config, shape, stepRows));
    }

    /// <param name="free">Bytes that there are.</param>
    /// <param name="remedy">What the user can do.</param>
    /// <returns>The sum in one line; null if there is enough.</returns>
    public string? Problem(long free, string remedy)
    {
        if (Total <= free) return null;
        var most = Math.Floor((free - WeightBytes - BufferBytes) / KvBlockBytes) * KvBlock.Positions;
        var advice = most < KvBlock.Positions ? "take a smaller model" : string.Create(CultureInfo.InvariantCulture, $"{most:0} tokens would fit: {remedy}");
        return $"{Model} needs {Gigabytes(WeightBytes)} of weights + {Gigabytes(KvBlocks * KvBlockBytes)} of KV cache for {KvBlocks * KvBlock.Positions} tokens"
            + $" + {Gigabytes(BufferBytes)} of buffers = {Gigabytes(Total)}, and {Gigabytes(free)} are free; {advice}";
    }

    static string Gigabytes(double bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.00} GB");
}
