using System.Text;
using LlamaCluster.Primitives;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

/// <summary>
/// What a <c>tokenizer.model</c> file says, as far as encoding depends on it.
/// Source: <c>sentencepiece_model.proto</c> of https://github.com/google/sentencepiece, whose names and defaults these are.
/// </summary>
sealed class SentencePieceModel
{
    const int Bpe = 2;

    static readonly string[] ModelTypes = ["unknown", "unigram", "BPE", "word", "character"];

    readonly Func<string, ModelFormatException> _error;
    int _modelType = 1;
    bool _byteFallback;
    bool _spaceAsSuffix;
    bool _removeExtraSpaces = true;
    bool _escapeSpaces = true;
    bool _normalizes;

    SentencePieceModel(Func<string, ModelFormatException> error) => _error = error;

    /// <summary>How the pieces are written, by id.</summary>
    public ByteStrings Pieces { get; } = new();

    /// <summary>By id.</summary>
    public List<float> Scores { get; } = [];

    /// <summary>By id.</summary>
    public List<TokenKind> Kinds { get; } = [];

    /// <summary>-1 if the model has none; likewise <see cref="EosId"/>.</summary>
    public int BosId { get; private set; } = 1;

    public int EosId { get; private set; } = 2;

    public bool AddDummyPrefix { get; private set; } = true;

    /// <summary>How a piece is written.</summary>
    public string Written(int id) => Encoding.UTF8.GetString(Pieces[id]);

    /// <summary>Reads the model and refuses, by name, what this program would encode wrongly.</summary>
    public static SentencePieceModel Read(ReadOnlySpan<byte> bytes, Func<string, ModelFormatException> error)
    {
        var model = new SentencePieceModel(error);
        var reader = new ProtobufReader(bytes, "the model", error);
        while (reader.TryReadField(out var field))
        {
            switch (field)
            {
                case 1: model.ReadPiece(reader.ReadBytes()); break;
                case 2: model.ReadTrainerSpec(reader.ReadBytes()); break;
                case 3: model.ReadNormalizerSpec(reader.ReadBytes()); break;
                case 5: model.ReadDenormalizerSpec(reader.ReadBytes()); break;
                default: reader.Skip(); break;
            }
        }
        model.RefuseOthers();
        return model;
    }

    void ReadPiece(ReadOnlySpan<byte> bytes)
    {
        var name = $"pieces[{Pieces.Count}]";
        var reader = new ProtobufReader(bytes, name, _error);
        ReadOnlySpan<byte> piece = [];
        var (score, kind) = (0f, (int)TokenKind.Normal);
        while (reader.TryReadField(out var field))
        {
            switch (field)
            {
                case 1: piece = reader.ReadBytes(); break;
                case 2: score = reader.ReadSingle(); break;
                case 3: kind = reader.ReadInt32(); break;
                default: reader.Skip(); break;
            }
        }
        if (piece.IsEmpty) throw _error($"{name}.piece is empty");
        if (!float.IsFinite(score)) throw _error($"{name}.score is {score}");
        if (kind is < (int)TokenKind.Normal or > (int)TokenKind.Byte) throw _error($"{name}.type is {kind}, which is not known");
        Pieces.Add(piece);
        Scores.Add(score);
        Kinds.Add((TokenKind)kind);
    }

    void ReadTrainerSpec(ReadOnlySpan<byte> bytes)
    {
        var reader = new ProtobufReader(bytes, "trainer_spec", _error);
        while (reader.TryReadField(out var field))
        {
            switch (field)
            {
                case 3: _modelType = reader.ReadInt32(); break;
                case 24: _spaceAsSuffix = reader.ReadBoolean(); break;
                case 35: _byteFallback = reader.ReadBoolean(); break;
                case 41: BosId = reader.ReadInt32(); break;
                case 42: EosId = reader.ReadInt32(); break;
                default: reader.Skip(); break;
            }
        }
    }

    void ReadNormalizerSpec(ReadOnlySpan<byte> bytes)
    {
        var reader = new ProtobufReader(bytes, "normalizer_spec", _error);
        while (reader.TryReadField(out var field))
        {
            switch (field)
            {
                case 2: _normalizes |= !reader.ReadBytes().IsEmpty; break;
                case 3: AddDummyPrefix = reader.ReadBoolean(); break;
                case 4: _removeExtraSpaces = reader.ReadBoolean(); break;
                case 5: _escapeSpaces = reader.ReadBoolean(); break;
                default: reader.Skip(); break;
            }
        }
    }

    void ReadDenormalizerSpec(ReadOnlySpan<byte> bytes)
    {
        var reader = new ProtobufReader(bytes, "denormalizer_spec", _error);
        while (reader.TryReadField(out var field))
        {
            if (field == 2) _normalizes |= !reader.ReadBytes().IsEmpty;
            else reader.Skip();
        }
    }

    void RefuseOthers()
    {
        if (_modelType != Bpe)
        {
            var name = _modelType >= 0 && _modelType < ModelTypes.Length ? ModelTypes[_modelType] : $"{_modelType}";
            throw _error($"trainer_spec.model_type is {name}, which is not supported; BPE is");
        }
        if (!_byteFallback) throw _error("trainer_spec.byte_fallback is false; only models with tokens for all bytes are supported");
        if (_spaceAsSuffix) throw _error("trainer_spec.treat_whitespace_as_suffix is true, which is not supported");
        if (_normalizes) throw _error("normalizer_spec.precompiled_charsmap is there: models that change characters are not supported");
        if (_removeExtraSpaces) throw _error("normalizer_spec.remove_extra_whitespaces is true: models that drop spaces are not supported");
        if (!_escapeSpaces) throw _error("normalizer_spec.escape_whitespaces is false, which is not supported");
    }
}
