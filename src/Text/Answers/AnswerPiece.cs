namespace LlamaCluster.Text.Answers;

/// <summary>A piece of an answer, as it comes. All pieces of one kind together, in order, are that part of the answer.</summary>
public abstract record AnswerPiece
{
    AnswerPiece() { }

    /// <summary>Words for the user.</summary>
    public sealed record Text(string Words) : AnswerPiece;

    /// <summary>Words that the model wrote for itself before its answer.</summary>
    public sealed record Reasoning(string Words) : AnswerPiece;

    /// <summary>The model calls a function. The call's arguments and its end follow before anything else.</summary>
    /// <param name="Call">Which call of the answer it is, from 0.</param>
    /// <param name="Id">What the call's result will refer to.</param>
    public sealed record CallBegun(int Call, string Id, string Name) : AnswerPiece;

    /// <param name="Json">A fragment of the text of a JSON object. A model that no grammar holds may write something else.</param>
    public sealed record CallArguments(int Call, string Json) : AnswerPiece;

    /// <summary>The call is complete, or the answer ended in the middle of it.</summary>
    public sealed record CallEnded(int Call) : AnswerPiece;
}

/// <summary>How a model writes calls of functions.</summary>
public enum ToolFormat
{
    /// <summary>Llama 3.1 to 3.3: an object of name and parameters, perhaps after &lt;|python_tag|&gt;.</summary>
    LlamaJson,

    /// <summary>Llama 3.2 and 4: a list of calls as Python writes them.</summary>
    Pythonic,

    /// <summary>Llama 3.1 with functions of the user: &lt;function=name&gt;{...}&lt;/function&gt;.</summary>
    FunctionTags,

    /// <summary>Hermes and Qwen: an object of name and arguments in &lt;tool_call&gt; tags.</summary>
    Hermes,
}

/// <summary>What an answer may consist of besides plain text.</summary>
/// <param name="Tools">Null: calls are not looked for.</param>
/// <param name="Functions">The functions that may be called. Calls without marks around them count only if they name one of these.</param>
/// <param name="SingleCall">The answer ends with its first call.</param>
/// <param name="Reasoning">Where the answer may have reasoning.</param>
public sealed record AnswerFormat(ToolFormat? Tools, IReadOnlySet<string> Functions, bool SingleCall, ReasoningPlace Reasoning)
{
    static readonly string[] MarksOfCalls = ["<|python_tag|>", "<tool_call>", "</tool_call>"];
    static readonly string[] MarksOfReasoning = [ReasoningSplitter.Open, ReasoningSplitter.Close];

    /// <summary>Marks that are special tokens in some vocabularies. The decoder of the answer must give them as text.</summary>
    public IEnumerable<string> Marks =>
        [.. Tools is null ? [] : MarksOfCalls, .. Reasoning is ReasoningPlace.None ? [] : MarksOfReasoning];
}

/// <summary>Where an answer's reasoning is.</summary>
public enum ReasoningPlace
{
    /// <summary>There is none, or it is not told from the rest.</summary>
    None,

    /// <summary>The answer may begin with it.</summary>
    MayBegin,

    /// <summary>The prompt has opened it already: the answer is reasoning up to its end mark.</summary>
    Opened,
}
