using System.Text.Json.Nodes;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates;

/// <summary>A form in which a template reads the content of messages.</summary>
enum ContentForm
{
    /// <summary>It reads both alike, or what it reads is not known: content is passed on as it came.</summary>
    Any,

    /// <summary>One text.</summary>
    Text,

    /// <summary>A list of parts, each with a type and a text.</summary>
    Parts,
}

/// <summary>
/// The form of content that a template reads, by role. Clients write content as one text or as a list of parts. Most templates know only
/// the text; some go through parts, and find none in a text, so that the words are missing from the prompt and nobody is told. A template
/// does not say which it is. So it is tried, once for each role that messages have, with words that are then looked for in the prompt.
/// </summary>
sealed class ContentForms
{
    const string Words = "whereisthistext";

    // The user's form is found first: it is the one that is assumed for roles of which the prompt shows nothing.
    static readonly string[] Roles = ["user", "system", "assistant"];

    // Some templates refuse a conversation without a system message, or one in which the turns do not alternate.
    static readonly string[][] Conversations =
        [["user"], ["system", "user"], ["user", "assistant"], ["user", "assistant", "user"], ["system", "user", "assistant", "user"]];

    readonly Func<JsonArray, string?>? _render;

    // Usual content is a text that the template reads. One trial shows that, so most processes need no other.
    readonly Trial[] _ofTexts = [];
    readonly Trial[] _ofParts = [];

    /// <param name="render">The prompt of a conversation, which is taken as it is given; null if the template refuses it.</param>
    public ContentForms(Func<JsonArray, string?> render)
        : this()
    {
        _render = render;
        _ofTexts = Array.ConvertAll(Roles, _ => new Trial());
        _ofParts = Array.ConvertAll(Roles, _ => new Trial());
    }

    ContentForms()
    {
    }

    /// <summary>Every content as it came.</summary>
    public static ContentForms AsGiven { get; } = new();

    /// <summary>The messages with each content in the form that the template reads.</summary>
    public Value Apply(Value messages, Budget budget)
    {
        if (_render is null || messages is not ListValue list) return messages;
        budget.MakeElements(list.Items.Length);
        return new ListValue(Array.ConvertAll(list.Items, message => message is DictionaryValue fields ? Apply(fields, budget) : message));
    }

    DictionaryValue Apply(DictionaryValue message, Budget budget)
    {
        if (!message.TryGet(new StringValue("content"), budget, out var content)) return message;
        var role = message.TryGet(new StringValue("role"), budget, out var name) && name is StringValue text ? text.Text : "";
        var changed = (FormFor(role, content), content) switch
        {
            (ContentForm.Text, ListValue parts) => Join(parts, budget) ?? content,
            (ContentForm.Parts, StringValue) => new ListValue([Part(content, budget)]),
            (ContentForm.Parts, NoneValue) => new ListValue([]),
            _ => content,
        };
        if (ReferenceEquals(changed, content)) return message;
        return new DictionaryValue(message.Entries.Select(entry => entry.Key is StringValue { Text: "content" } ? new(entry.Key, changed) : entry), budget);
    }

    ContentForm FormFor(string role, Value content)
    {
        var tellAnyFromText = content is ListValue;
        var own = Array.IndexOf(Roles, role) is var index and >= 0 ? Find(index, tellAnyFromText) : null;
        return own ?? Find(0, tellAnyFromText) ?? ContentForm.Any;
    }

    /// <param name="role">Its place in <see cref="Roles"/>.</param>
    /// <param name="tellAnyFromText">Whether it matters if the template, which reads texts, reads parts too.</param>
    ContentForm? Find(int role, bool tellAnyFromText)
    {
        // Plain loops: this runs once, at the start of a process, where each generic method costs its compilation.
        var trial = (tellAnyFromText ? _ofParts : _ofTexts)[role];
        lock (trial)
        {
            for (var i = 0; i < Conversations.Length && !trial.Done; i++)
                if (Array.IndexOf(Conversations[i], Roles[role]) >= 0) trial.Form ??= Try(Conversations[i], Roles[role], tellAnyFromText);
            trial.Ended = true;
            return trial.Form;
        }
    }

    /// <summary>The form in which a role's words come out of a conversation; null if they do in neither.</summary>
    ContentForm? Try(string[] roles, string role, bool tellAnyFromText)
    {
        var fromText = Shown(ContentForm.Text);
        if (fromText is not null && !tellAnyFromText) return ContentForm.Text;
        var fromParts = Shown(ContentForm.Parts);
        // A template that knows nothing of parts may write the whole list, as Python writes lists. Its words are in there too.
        if (fromText is not null) return fromText == fromParts ? ContentForm.Any : ContentForm.Text;
        return fromParts is not null ? ContentForm.Parts : null;

        string? Shown(ContentForm form)
        {
            var messages = new JsonArray();
            foreach (var other in roles)
                messages.Add((JsonNode)(other == role ? Message(role, Words, form) : Message(other, "a", FoundBefore(other, role) ?? form)));
            var prompt = _render!(messages);
            return prompt?.Contains(Words, StringComparison.OrdinalIgnoreCase) == true ? prompt : null;
        }
    }

    /// <summary>The form of a role that comes before another one.</summary>
    ContentForm? FoundBefore(string role, string other)
    {
        var place = Array.IndexOf(Roles, role);
        return place < Array.IndexOf(Roles, other) ? Find(place, tellAnyFromText: false) : null;
    }

    static JsonObject Message(string role, string text, ContentForm form) => new()
    {
        ["role"] = role,
        ["content"] = form is ContentForm.Parts ? new JsonArray(new JsonObject { ["type"] = "text", ["text"] = text }) : text,
    };

    /// <summary>The texts of parts, with line breaks between them; null if a part is something else.</summary>
    static StringValue? Join(ListValue parts, Budget budget)
    {
        var joined = new BoundedText(budget);
        foreach (var (index, part) in parts.Items.Index())
        {
            budget.Spend(1);
            if (part is not DictionaryValue fields || !fields.TryGet(new StringValue("text"), budget, out var text)) return null;
            if (text is not StringValue { Text: var words }) return null;
            if (fields.TryGet(new StringValue("type"), budget, out var type) && type is not StringValue { Text: "text" }) return null;
            joined.Append(index > 0 ? "\n" : "").Append(words);
        }
        return new StringValue(joined.ToString());
    }

    static DictionaryValue Part(Value text, Budget budget) =>
        new([new(new StringValue("type"), new StringValue("text")), new(new StringValue("text"), text)], budget);

    /// <summary>What was found out for a role.</summary>
    sealed class Trial
    {
        public ContentForm? Form { get; set; }

        public bool Ended { get; set; }

        public bool Done => Ended || Form is not null;
    }
}
