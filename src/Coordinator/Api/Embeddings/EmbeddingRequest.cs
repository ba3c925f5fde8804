using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Embeddings;

/// <summary>A request for vectors of texts, as all APIs' requests for them come to it.</summary>
/// <param name="Texts">The texts, and how they are pooled.</param>
sealed record EmbeddingRequest(CompletionRequest Texts)
{
    /// <summary>Texts that one request may bring. OpenAI's number.</summary>
    public const int MostTexts = 2048;

    /// <summary>Numbers of all vectors of a request together, which are held until the last one is there.</summary>
    public const int MostNumbers = 8 << 20;

    /// <summary>Numbers of each vector that are wanted, from the first on; null: all.</summary>
    public int? Dimensions { get; init; }

    /// <summary>Vectors get the length 1.</summary>
    public bool Normalizes { get; init; } = true;

    /// <summary>Vectors are written as base64 of their 32-bit floats, little-endian.</summary>
    public bool IsBase64 { get; init; }

    /// <summary>The vector that is answered: the wanted numbers, of length 1 if that is wanted.</summary>
    public float[] Finish(IReadOnlyList<float> pooled)
    {
        var vector = pooled.Take(Dimensions ?? pooled.Count).ToArray();
        if (!Normalizes) return vector;
        var length = Math.Sqrt(vector.Sum(number => (double)number * number));
        return length == 0 ? vector : Array.ConvertAll(vector, number => (float)(number / length));
    }
}

/// <summary>Reads the bodies of requests for vectors. Every field is honoured, reported as ignored, or refused by name.</summary>
sealed class EmbeddingRules(ServedModel model, ApiOptions options)
{
    /// <summary>OpenAI's body, with fields of vLLM's and llama.cpp's.</summary>
    public EmbeddingRequest Read(FieldReader fields)
    {
        fields.Model(model);
        fields.Bookkeeping("metadata");
        var addSpecialTokens = fields.Flag("add_special_tokens", otherwise: true);
        var cut = fields.Integer("truncate_prompt_tokens", -1, int.MaxValue);
        if (cut is >= 0) fields.Refuse("truncate_prompt_tokens", "'truncate_prompt_tokens' must be -1, which cuts texts to the context.");
        var texts = ReadTexts(fields);
        return new EmbeddingRequest(Of(texts, addSpecialTokens, fields) with { CutsPrompts = cut == -1 })
        {
            Dimensions = fields.Count("dimensions", 1, MostDimensions),
            Normalizes = ReadNormalizes(fields),
            IsBase64 = ReadEncoding(fields),
        };
    }

    /// <summary>The field "input".</summary>
    public IReadOnlyList<RawPrompt> ReadTexts(FieldReader fields)
    {
        var most = Math.Min(EmbeddingRequest.MostTexts, EmbeddingRequest.MostNumbers / Math.Max(1, model.HiddenSize));
        return RawPrompts.Read(fields, "input", most, model.Named(fields.Adapter).Tokenizer.VocabularySize);
    }

    /// <summary>Texts and what is common to all APIs.</summary>
    public CompletionRequest Of(IReadOnlyList<RawPrompt> texts, bool addSpecialTokens, FieldReader fields) => new(
        texts, addSpecialTokens, Echo: false, new GenerationSettings
        {
            Sampling = new SamplingOptions { Pooling = options.Pooling ?? (model.Pooling == Pooling.None ? Pooling.Last : model.Pooling) },
            MaxTokens = 0,
            Priority = fields.Count("priority", int.MinValue, int.MaxValue) ?? 0,
            User = fields.Text("user"),
        })
    {
        Adapter = fields.Adapter,
    };

    public int MostDimensions => model.HiddenSize == 0 ? int.MaxValue : model.HiddenSize;

    static bool ReadEncoding(FieldReader fields)
    {
        var encoding = fields.Text("encoding_format");
        if (encoding is not (null or "float" or "base64")) fields.Refuse("encoding_format", "'encoding_format' must be \"float\" or \"base64\".");
        return encoding == "base64";
    }

    /// <summary>vLLM's flag, or llama.cpp's number of the norm.</summary>
    static bool ReadNormalizes(FieldReader fields)
    {
        var norm = fields.Integer("embd_normalize", -1, int.MaxValue);
        if (norm is not (null or -1 or 2))
            fields.Refuse("embd_normalize", "'embd_normalize' must be 2, for vectors of length 1, or -1, for vectors as they are.");
        return fields.Flag("normalize", otherwise: norm is not -1);
    }
}
