-- Searches for Study ID, birth date, Series Description and the IDs of requests go by an index, and lists of series and instances by the order
-- in which they are answered.
CREATE INDEX IF NOT EXISTS studies_study_id ON studies (study_id);
CREATE INDEX IF NOT EXISTS studies_birth_date ON studies (birth_date);
CREATE INDEX IF NOT EXISTS series_number ON series (study, number, id);
CREATE INDEX IF NOT EXISTS series_description ON series (description);
CREATE INDEX IF NOT EXISTS series_procedure ON series (procedure_id);
CREATE INDEX IF NOT EXISTS series_step ON series (step_id);
