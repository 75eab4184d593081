//! One micro-batch of prepared rows as plain vectors: `data` fills it, `engine` reads it.

/// Rows of one virtual shard. Every vector is row-major with the row as its first dimension.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Batch {
    /// Samples in the batch.
    pub rows: usize,
    pub input: Input,
    pub target: Target,
}

/// What the model reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Shape `[rows, features]` or `[rows, channels * height * width]`, f32.
    Values(Vec<f32>),
    /// Shape `[rows, context]`, byte values or the padding token.
    Tokens(Vec<i32>),
}

/// What the model is asked to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Shape `[rows]`, class ids.
    Classes(Vec<i32>),
    /// Shape `[rows]`, standardised.
    Values(Vec<f32>),
    /// Shape `[rows, context]`, the byte after each position.
    Tokens(Vec<i32>),
}

impl Default for Input {
    fn default() -> Input {
        Input::Values(Vec::new())
    }
}

impl Default for Target {
    fn default() -> Target {
        Target::Values(Vec::new())
    }
}
