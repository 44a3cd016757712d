//! What follows from a program alone, kept for those that were asked for lately.

use std::sync::Arc;

use super::Program;

/// Answers about programs, each found once. A program does not change while somebody shares it, and whoever is in here is
/// shared: so an answer holds for as long as it is kept, and no other program can lie where this one does. A place for each, by
/// where it lies: the last one there stays.
#[derive(Debug)]
pub(crate) struct OfPrograms<T>(Box<[Option<Known<T>>]>);

#[derive(Debug)]
struct Known<T> {
    program: Arc<Program>,
    answer: T,
}

impl<T> Default for OfPrograms<T> {
    fn default() -> Self {
        Self((0..Self::PLACES).map(|_| None).collect())
    }
}

impl<T> OfPrograms<T> {
    const PLACES: usize = 256;
    /// What lies side by side is so many bytes apart at least.
    const APART: usize = size_of::<Program>();

    /// What is known of a program, or is found now.
    pub(crate) fn of(&mut self, program: &Arc<Program>, find: impl FnOnce(&Program) -> T) -> Option<&T> {
        let place = Arc::as_ptr(program).addr() / Self::APART % Self::PLACES;
        let place = self.0.get_mut(place)?;
        if !place.as_ref().is_some_and(|known| Arc::ptr_eq(&known.program, program)) {
            *place = Some(Known { program: Arc::clone(program), answer: find(program) });
        }
        place.as_ref().map(|known| &known.answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::OfPrograms;
    use crate::event::Text;
    use crate::lineage::Program;

    #[test]
    fn each_is_asked_once_and_none_is_taken_for_another() {
        let mut asked = 0;
        let mut known = OfPrograms::default();
        let mut of = |program: &Arc<Program>| {
            let found = known.of(program, |program| {
                asked += 1;
                program.exe.bytes.clone()
            });
            assert_eq!(found, Some(&program.exe.bytes));
        };
        for number in 0..1_000 {
            // One after the other at the same place, as far as the allocator goes.
            let bytes = format!("/bin/{number}").into_bytes();
            let mut program =
                Arc::new(Program { exe: Text { bytes, truncated: false }, ..Program::default() });
            of(&program);
            of(&program);
            // Whoever changes one that is shared has another.
            Arc::make_mut(&mut program).exe.bytes.push(b'x');
            of(&program);
        }
        assert_eq!(asked, 2_000);
    }
}
