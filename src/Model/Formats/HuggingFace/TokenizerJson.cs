using System.Text.Json;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// The content of a <c>tokenizer.json</c> file (https://github.com/huggingface/tokenizers). The vocabulary and the merges, which
/// are nearly all of its megabytes, are read in one pass without an object each; the rest as ordinary fields.
/// </summary>
sealed class TokenizerJson
{
    const long MaxBytes = 1L << 28;
    const int MaxDepth = 16;

    readonly ModelFile _file;

    TokenizerJson(ModelFile file, byte[] json)
    {
        _file = file;
        Fields = ReadModel(json);
    }

    /// <summary>Everything but model.vocab and model.merges, which are left out.</summary>
    public JsonFields Fields { get; }

    /// <summary>How the tokens of model.vocab are written, in stored order.</summary>
    public ByteStrings Tokens { get; } = new();

    /// <summary>The ids of <see cref="Tokens"/>.</summary>
    public List<int> Ids { get; } = [];

    /// <summary>The parts of model.merges: of each merge the left and the right, or both in one string, as <see cref="MergesArePairs"/> says.</summary>
    public ByteStrings Merges { get; } = new();

    public bool MergesArePairs { get; private set; }

    /// <summary>An error that names the file, from a message that starts with a field.</summary>
    public ModelFormatException Error(string problem) => _file.Error(problem);

    public static TokenizerJson Read(string path)
    {
        using var file = ModelFile.Open(path);
        if (file.Length > MaxBytes) throw file.Error($"has {file.Length} bytes, more than the {MaxBytes} allowed");
        var json = new byte[file.Length];
        file.Read(0, json);
        try
        {
            return new TokenizerJson(file, json);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the latter: text that is not Unicode
        {
            throw file.Error(file.IsLfsPointer() ? ModelFile.LfsPointerProblem : $"is not valid JSON: {ErrorText.Sentence(e.Message)}", e);
        }
    }

    JsonFields ReadModel(byte[] json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        var rest = new List<byte>();
        var copied = 0;
        if (reader.Read() && reader.TokenType is JsonTokenType.StartObject)
        {
            while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
            {
                var isModel = reader.ValueTextEquals("model"u8);
                reader.Read();
                if (!isModel || reader.TokenType is not JsonTokenType.StartObject) reader.Skip();
                else ReadTables(ref reader, json, rest, ref copied);
            }
        }
        rest.AddRange(json.AsSpan(copied));
        return JsonFile.Parse(_file, "the file", rest.ToArray());
    }

    // Takes the tables out of the JSON: in their place stands null.
    void ReadTables(ref Utf8JsonReader reader, byte[] json, List<byte> rest, ref int copied)
    {
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var (isVocabulary, isMerges) = (reader.ValueTextEquals("vocab"u8), reader.ValueTextEquals("merges"u8));
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            if (isVocabulary && reader.TokenType is JsonTokenType.StartObject) ReadVocabulary(ref reader);
            else if (isMerges && reader.TokenType is JsonTokenType.StartArray) ReadMerges(ref reader);
            else
            {
                reader.Skip();
                continue;
            }
            rest.AddRange(json.AsSpan(copied, start - copied));
            rest.AddRange("null"u8);
            copied = (int)reader.BytesConsumed;
        }
    }

    void ReadVocabulary(ref Utf8JsonReader reader)
    {
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            Copy(ref reader, Tokens);
            reader.Read();
            if (reader.TokenType is not JsonTokenType.Number || !reader.TryGetInt32(out var id))
                throw Error($"model.vocab: the id of token {Tokens.Count - 1} is not an integer of 32 bits");
            Ids.Add(id);
        }
    }

    void ReadMerges(ref Utf8JsonReader reader)
    {
        for (var merge = 0; reader.Read() && reader.TokenType is not JsonTokenType.EndArray; merge++)
        {
            var isPair = reader.TokenType is JsonTokenType.StartArray;
            if (merge == 0) MergesArePairs = isPair;
            if (isPair != MergesArePairs) throw NotAMerge(merge);
            if (isPair)
            {
                for (var part = 0; part < 2; part++) ReadPart(ref reader, merge);
                if (!reader.Read() || reader.TokenType is not JsonTokenType.EndArray) throw NotAMerge(merge);
            }
            else
            {
                AddPart(ref reader, merge);
            }
        }
    }

    void ReadPart(ref Utf8JsonReader reader, int merge)
    {
        reader.Read();
        AddPart(ref reader, merge);
    }

    void AddPart(ref Utf8JsonReader reader, int merge)
    {
        if (reader.TokenType is not JsonTokenType.String) throw NotAMerge(merge);
        Copy(ref reader, Merges);
    }

    static void Copy(ref Utf8JsonReader reader, ByteStrings to) => to.Commit(reader.CopyString(to.Reserve(reader.ValueSpan.Length)));

    ModelFormatException NotAMerge(int merge) => Error($"model.merges[{merge}] is neither a string nor two strings, as the others are");
}
